use std::time::Duration;

use tokio::time::Instant;

/// Says what has been true for a while, once: a wait of an hour is one line, and another line when its reason changes.
#[derive(Debug)]
pub(super) struct Speaker {
    after: Duration,
    heard: Option<(String, Instant)>,
    said: Option<String>,
}

impl Speaker {
    /// One that waits so long before it says something.
    pub fn new(after: Duration) -> Speaker {
        Speaker { after, heard: None, said: None }
    }

    /// Takes what is true now.
    pub fn hear(&mut self, sentence: Option<String>) {
        if let Some(sentence) = self.due(sentence, Instant::now()) {
            tracing::warn!("{sentence}");
        }
    }

    /// Everything is well: the next trouble is worth a line again.
    pub fn forget(&mut self) {
        (self.heard, self.said) = (None, None);
    }

    fn due(&mut self, sentence: Option<String>, now: Instant) -> Option<String> {
        let Some(sentence) = sentence else {
            self.heard = None;
            return None;
        };
        let since = match &self.heard {
            Some((heard, since)) if *heard == sentence => *since,
            _ => now,
        };
        self.heard = Some((sentence.clone(), since));
        if now < since + self.after || self.said.as_ref() == Some(&sentence) {
            return None;
        }
        self.said = Some(sentence.clone());
        Some(sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_said_once_and_what_passes_is_not() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let text = |text: &str| Some(text.to_owned());
        let mut speaker = Speaker::new(Duration::from_millis(100));
        assert_eq!(speaker.due(text("a"), at(0)), None);
        assert_eq!(speaker.due(text("b"), at(50)), None, "a has passed");
        assert_eq!(speaker.due(text("b"), at(149)), None);
        assert_eq!(speaker.due(text("b"), at(150)), text("b"));
        assert_eq!(speaker.due(text("b"), at(9000)), None, "said already");
        assert_eq!(speaker.due(None, at(9001)), None);
        assert_eq!(speaker.due(text("b"), at(9200)), None, "nothing new");
        assert_eq!(speaker.due(text("a"), at(9300)), None);
        assert_eq!(speaker.due(text("a"), at(9400)), text("a"));
        speaker.forget();
        assert_eq!(speaker.due(text("a"), at(9500)), None);
        assert_eq!(speaker.due(text("a"), at(9600)), text("a"), "a trouble that is back");
    }
}
