//! Figures held against what was aimed at.

use std::time::Duration;

/// What a figure must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Nothing: it is printed alone.
    None,
    /// No sample longer.
    Longest(Duration),
    /// Half of the samples no longer.
    Median(Duration),
}

/// The figures of a run, and what they miss.
#[derive(Debug, Default)]
pub struct Figures {
    missed: Vec<String>,
}

impl Figures {
    /// Prints a figure as a line of a table, and notes if it misses its aim.
    pub fn add(&mut self, what: &str, mut measured: Vec<Duration>, aim: Aim) {
        measured.sort();
        let Some(longest) = measured.last() else {
            return self.missed.push(format!("{what}: nothing was measured"));
        };
        let (middle, longest) = (measured[(measured.len() - 1) / 2].as_millis(), longest.as_millis());
        let (aimed, is_missed) = match aim {
            Aim::None => ("–".to_owned(), false),
            Aim::Longest(most) => (format!("longest {} ms", most.as_millis()), longest > most.as_millis()),
            Aim::Median(most) => (format!("p50 {} ms", most.as_millis()), middle > most.as_millis()),
        };
        let figure = format!("p50 {middle} ms, longest {longest} ms of {}", measured.len());
        println!("| {what} | {figure} | {aimed} |");
        if is_missed {
            self.missed.push(format!("{what}: {figure}, but the aim is {aimed}"));
        }
    }

    /// Notes that figures could not be had.
    pub fn failed(&mut self, why: String) {
        self.missed.push(why);
    }

    /// What was missed, one line each.
    pub fn missed(&self) -> &[String] {
        &self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_aim_is_named_and_nothing_measured_is_missed_too() {
        let of = |milliseconds: &[u64]| milliseconds.iter().map(|ms| Duration::from_millis(*ms)).collect::<Vec<_>>();
        let aim = Duration::from_millis(300);
        let mut figures = Figures::default();
        figures.add("kept", of(&[300, 299, 300]), Aim::Longest(aim));
        figures.add("half of it", of(&[5_000, 300, 100]), Aim::Median(aim));
        figures.add("no aim", of(&[90_000]), Aim::None);
        assert!(figures.missed().is_empty(), "{figures:?}");
        figures.add("one too long", of(&[301, 100]), Aim::Longest(aim));
        figures.add("most too long", of(&[100, 301, 302]), Aim::Median(aim));
        figures.add("none", Vec::new(), Aim::None);
        let missed: Vec<&str> = figures.missed().iter().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(missed, ["one too long", "most too long", "none"]);
    }
}
