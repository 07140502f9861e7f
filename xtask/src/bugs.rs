//! `cargo xtask bugs`: plants known bugs, one after the other, and expects a test to catch each.
//!
//! A bug is a patch in `tests/bugs`. The lines before its first `diff` say what is wrong (`Bug:`) and who has to notice
//! (`Caught by:`, what follows `cargo test`, once for each test that should). The patch goes into a copy of the sources; what
//! compiles and passes all the same, or applies no longer, is a failure of this command.
//!
//! Before any bug is planted, every test that shall notice one runs on the copy as it is, and has to pass: one that fails
//! anyway, or a filter that matches no test, would say nothing about the bug.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::root::{root, target};

/// How much of a failed test's output is shown.
const LINES_SHOWN: usize = 40;

/// A planted bug.
struct Bug {
    name: String,
    what: String,
    catchers: Vec<String>,
    patch: PathBuf,
}

/// How one run against a planted bug ended.
enum Outcome {
    /// A test failed. The number of seeds or trials it took, where the test makes many.
    Caught { runs: Option<u64> },
    /// The tests passed: they do not see the bug.
    Missed,
}

/// Plants the named bugs, or all. `--list` only names them. `--sim N` asks the simulator instead of the tests: how many seeds
/// it takes, at most `N`. There a bug that is not seen is no failure, for the simulator does not run all that is shipped.
///
/// # Errors
/// Names the bugs that were not caught, and patches that fit the sources no longer.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let (seeds, arguments) = match arguments {
        [flag, number, names @ ..] if flag == "--sim" => {
            let wanted = || format!("--sim {number}: a number of seeds is wanted");
            (Some(number.parse::<u64>().map_err(|_| wanted())?), names)
        }
        names => (None, names),
    };
    let mut bugs = read_all()?;
    if arguments == ["--list"] {
        bugs.iter().for_each(|bug| println!("{:<36} {}", bug.name, bug.what));
        return Ok(());
    }
    if let Some(unknown) = arguments.iter().find(|name| bugs.iter().all(|bug| bug.name != **name)) {
        return Err(format!("tests/bugs has no {unknown}.patch; `cargo xtask bugs --list` names what it has"));
    }
    bugs.retain(|bug| arguments.is_empty() || arguments.contains(&bug.name));
    fit(&bugs)?;
    match seeds {
        Some(seeds) => simulate(&bugs, seeds),
        None => test(&bugs),
    }
}

/// Whether every bug can be planted in the sources as they are.
///
/// # Errors
/// Names the patches that say not what they are, or fit the sources no longer.
pub fn check() -> Result<(), String> {
    fit(&read_all()?)
}

/// Whether these can be planted, before any time is spent on one.
///
/// # Errors
/// Names those whose patches fit the sources no longer.
fn fit(bugs: &[Bug]) -> Result<(), String> {
    let mut misfits = Vec::new();
    for bug in bugs {
        let checked = Command::new("git").current_dir(root()).args(["apply", "--check"]).arg(&bug.patch).output();
        let checked = checked.map_err(|error| format!("git cannot be started: {error}"))?;
        if !checked.status.success() {
            let why = String::from_utf8_lossy(&checked.stderr).into_owned();
            misfits.push(format!("{} fits the sources no longer, make it anew:\n{why}", bug.patch.display()));
        }
    }
    match misfits.is_empty() {
        true => Ok(()),
        false => Err(misfits.join("\n")),
    }
}

/// Runs the tests that should notice each bug, first without any.
fn test(bugs: &[Bug]) -> Result<(), String> {
    println!("{:<36} {:>7} {:>6}  noticed by", "bug", "runs", "s");
    pass_without_bugs(bugs)?;
    let mut failures = Vec::new();
    for bug in bugs {
        let copy = fresh_copy()?;
        apply(&copy, &bug.patch)?;
        for catcher in &bug.catchers {
            let began = Instant::now();
            let row = match try_catch(&copy, catcher) {
                Ok(Outcome::Caught { runs }) => runs.map_or_else(|| "–".to_owned(), |runs| runs.to_string()),
                Ok(Outcome::Missed) => {
                    failures.push(format!("{} is not noticed by {catcher}", bug.name));
                    "MISSED".to_owned()
                }
                Err(error) => {
                    failures.push(format!("{}: {error}", bug.name));
                    "ERROR".to_owned()
                }
            };
            println!("{:<36} {row:>7} {:>6.0}  {catcher}", bug.name, began.elapsed().as_secs_f64());
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n")),
    }
}

/// Runs each test that these bugs name once, on the sources as they are.
///
/// # Errors
/// Names the tests that do not pass there, and why: they cannot tell a bug from none.
fn pass_without_bugs(bugs: &[Bug]) -> Result<(), String> {
    let catchers: BTreeSet<&str> = bugs.iter().flat_map(|bug| &bug.catchers).map(String::as_str).collect();
    let copy = fresh_copy()?;
    let mut failures = Vec::new();
    for catcher in catchers {
        let began = Instant::now();
        let row = match run_test(&copy, catcher).and_then(|ran| ran.as_it_should_without_bug()) {
            Ok(passed) => format!("{passed} ok"),
            Err(error) => {
                failures.push(format!("without any bug, {catcher}: {error}"));
                "ERROR".to_owned()
            }
        };
        println!("{:<36} {row:>7} {:>6.0}  {catcher}", "(none)", began.elapsed().as_secs_f64());
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(format!("{}\nno bug was planted: what these say of one would mean nothing", failures.join("\n"))),
    }
}

fn read_all() -> Result<Vec<Bug>, String> {
    let directory = root().join("tests/bugs");
    let entries = fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let patches = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let patches = patches.filter(|path| path.extension().is_some_and(|extension| extension == "patch"));
    let mut bugs = patches.map(read).collect::<Result<Vec<Bug>, String>>()?;
    bugs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(bugs)
}

fn read(patch: PathBuf) -> Result<Bug, String> {
    let name = patch.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let text = fs::read_to_string(&patch).map_err(|error| format!("{}: {error}", patch.display()))?;
    let head = text.lines().take_while(|line| !line.starts_with("diff "));
    let (mut what, mut catchers) = (String::new(), Vec::new());
    for line in head {
        if let Some(text) = line.strip_prefix("Bug: ") {
            what = text.to_owned();
        } else if let Some(text) = line.strip_prefix("Caught by: ") {
            catchers.push(text.to_owned());
        }
    }
    if what.is_empty() || catchers.is_empty() {
        return Err(format!("{} has to begin with a line `Bug: …` and at least one `Caught by: …`", patch.display()));
    }
    Ok(Bug { name, what, catchers, patch })
}

fn place() -> PathBuf {
    target().join("bugs/tree")
}

/// A copy of the sources as they are now. What has not changed since the last copy keeps its time, so that cargo
/// compiles again only what a bug touched.
fn fresh_copy() -> Result<PathBuf, String> {
    let copy = place();
    let listed = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .map_err(|error| format!("git cannot be started: {error}"))?;
    for name in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root().join(name), copy.join(name));
        let Ok(content) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|there| there == content) {
            continue;
        }
        let written = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&to, content));
        written.map_err(|error| format!("{}: {error}", to.display()))?;
    }
    Ok(copy)
}

fn apply(copy: &Path, patch: &Path) -> Result<(), String> {
    let output = Command::new("patch")
        .current_dir(copy)
        .args(["--batch", "--forward", "--strip=1", "--no-backup-if-mismatch", "--reject-file=-", "--input"])
        .arg(patch)
        .output()
        .map_err(|error| format!("patch cannot be started: {error}; install it"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{} fits the sources no longer; make it anew:\n{}",
            patch.display(),
            String::from_utf8_lossy(&output.stdout)
        )),
    }
}

/// Runs seeds of the simulator against each bug.
fn simulate(bugs: &[Bug], seeds: u64) -> Result<(), String> {
    println!("{:<36} {:>7} {:>6}  rule it breaks", "bug", "seeds", "s");
    let (count, jobs) = (seeds.to_string(), std::thread::available_parallelism().map_or(1, usize::from).to_string());
    for bug in bugs {
        let copy = fresh_copy()?;
        apply(&copy, &bug.patch)?;
        let simulator = ["--profile", "sim", "-p", "raftsman-tests", "--example", "sim"];
        let built = cargo(&copy, "build").args(simulator).output().map_err(|error| error.to_string())?;
        if !built.status.success() {
            return Err(format!("{} does not compile:\n{}", bug.name, String::from_utf8_lossy(&built.stderr)));
        }
        let began = Instant::now();
        let run = ["--quiet", "--", "--until-failure", "--seeds", &count, "--jobs", &jobs];
        let output = cargo(&copy, "run").args(simulator).args(run).output().map_err(|error| error.to_string())?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let found = printed.lines().filter_map(|line| line.strip_prefix("seed ")?.split_once(": "));
        let found = found.filter_map(|(seed, rule)| Some((seed.parse::<u64>().ok()?, rule))).min();
        let seconds = began.elapsed().as_secs_f64();
        match found {
            Some((seed, rule)) => println!("{:<36} {:>7} {seconds:>6.0}  {rule}", bug.name, seed + 1),
            None if output.status.success() => println!("{:<36} {:>7} {seconds:>6.0}", bug.name, format!(">{seeds}")),
            None => return Err(format!("{}: {}", bug.name, String::from_utf8_lossy(&output.stderr))),
        }
    }
    Ok(())
}

/// A cargo command in the copy, with a target directory of its own.
fn cargo(copy: &Path, what: &str) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(copy).env("CARGO_TARGET_DIR", target().join("bugs/target")).arg(what);
    // Nobody looks into these programs: without what debuggers need they are built faster.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_SIM_INCREMENTAL", "true");
    command.env_remove("CARGO_MANIFEST_DIR");
    command
}

/// How a run of `cargo test` ended.
struct TestRun {
    succeeded: bool,
    printed: String,
}

impl TestRun {
    /// How many tests passed, over all programs that ran.
    fn passed(&self) -> u64 {
        let results = self.printed.lines().filter_map(|line| line.trim().strip_prefix("test result: "));
        let counts = results.filter_map(|line| line.split_once(". ")?.1.split_once(" passed")?.0.parse::<u64>().ok());
        counts.sum()
    }

    /// How many tests passed, where all should.
    fn as_it_should_without_bug(&self) -> Result<u64, String> {
        match (self.succeeded, self.passed()) {
            (true, 0) => Err("0 tests ran: its filter matches none that is not ignored".to_owned()),
            (true, passed) => Ok(passed),
            (false, _) => Err(format!("it fails on the sources as they are:\n{}", self.last_lines())),
        }
    }

    fn last_lines(&self) -> String {
        let lines: Vec<&str> = self.printed.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }
}

/// Builds a test and runs it.
///
/// # Errors
/// It does not compile, or cargo cannot be started.
fn run_test(copy: &Path, catcher: &str) -> Result<TestRun, String> {
    let words: Vec<&str> = catcher.split_whitespace().collect();
    let cargo = || cargo(copy, "test");
    let before_filter: Vec<&str> = words.iter().copied().take_while(|word| *word != "--").collect();
    let built = cargo().args(&before_filter).arg("--no-run").output().map_err(|error| error.to_string())?;
    if !built.status.success() {
        return Err(format!("it does not compile:\n{}", String::from_utf8_lossy(&built.stderr)));
    }
    let output = cargo().args(&words).output().map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Ok(TestRun { succeeded: output.status.success(), printed })
}

fn try_catch(copy: &Path, catcher: &str) -> Result<Outcome, String> {
    let ran = run_test(copy, catcher)?;
    Ok(match ran.succeeded {
        true => Outcome::Missed,
        false => Outcome::Caught { runs: failed_at(&ran.printed).map(|run| run + 1) },
    })
}

/// The seed or the trial at which a test says it failed; they count from 0.
fn failed_at(printed: &str) -> Option<u64> {
    let names = ["failed at seed ", "failed at trial ", "\nseed "];
    let (_, behind) = names.iter().find_map(|name| printed.split_once(name))?;
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(succeeded: bool, printed: &str) -> TestRun {
        TestRun { succeeded, printed: printed.to_owned() }
    }

    #[test]
    fn a_filter_that_matches_nothing_is_no_test_that_passed() {
        let none = "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 51 filtered out\n";
        let refused = ran(true, none).as_it_should_without_bug().unwrap_err();
        assert!(refused.starts_with("0 tests ran"), "{refused}");
        let ignored = "test result: ok. 0 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out\n";
        assert!(ran(true, ignored).as_it_should_without_bug().is_err());
        let some = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.0s\n";
        assert_eq!(ran(true, &[none, some, some].concat()).as_it_should_without_bug(), Ok(4));
    }

    #[test]
    fn every_bug_can_be_planted() {
        let bugs = read_all().expect("each says what it is");
        assert!(bugs.len() >= 20, "{} bugs", bugs.len());
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn a_test_that_fails_anyway_says_nothing_of_a_bug() {
        let failed = "tool missing\ntest result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let refused = ran(false, failed).as_it_should_without_bug().unwrap_err();
        assert!(refused.contains("tool missing"), "{refused}");
    }

    #[test]
    fn the_run_that_failed_is_read_from_what_is_printed() {
        assert_eq!(failed_at("it failed at seed 17, again"), Some(17));
        assert_eq!(failed_at("x\nseed 3: LogEnd"), Some(3));
        assert_eq!(failed_at("assertion failed"), None);
    }
}
