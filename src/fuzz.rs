//! The harness of the parsers' property tests: generates inputs from valid documents and
//! the tokens of their format, and limits the time of a case. Knows no parser.
//!
//! [`run`] checks for each input that the parser does not panic or hang, returns within
//! [`CASE_LIMIT`], and produces an output bounded by the size of the input. `ROOMCAST_FUZZ_CASES`
//! sets the number of cases (CONTRIBUTING.md).

mod format;

use std::cell::Cell;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use self::format::KINDS;
pub(crate) use self::format::{Case, Format};

/// The number of cases of each parser, unless `ROOMCAST_FUZZ_CASES` says otherwise.
const CASES: u32 = 10_000;

/// Longest time that a parser may take for one input. A debug build is about ten times
/// slower.
const CASE_LIMIT: Duration = match cfg!(debug_assertions) {
    true => Duration::from_secs(1),
    false => Duration::from_millis(100),
};

/// After this time a case counts as a hang: the process prints the input to stderr and
/// aborts.
const HANG_LIMIT: Duration = Duration::from_secs(30);

/// Most bytes of an input that are printed.
const SHOWN_MOST: usize = 4_096;

/// Checks the property for all cases of a format: `parse` returns in time, and the size of
/// its output in bytes, which it returns, is at most `most(input)`.
pub(crate) fn run(format: &Format, most: impl Fn(usize) -> usize, parse: impl Fn(&Case) -> usize) {
    let cases = match std::env::var("ROOMCAST_FUZZ_CASES") {
        Ok(cases) => cases.parse().expect("ROOMCAST_FUZZ_CASES is a number"),
        Err(_) => CASES,
    };
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        // Shrinking a slow case runs slow cases.
        max_shrink_time: 20_000,
        ..Config::default()
    });
    let watch = Watch::start(format.name);
    let slowest = Cell::new((Duration::ZERO, 0));
    let mutations = vec((0..KINDS, any::<u32>(), any::<u32>(), any::<u32>()), 0..6);
    let strategy = (any::<u32>(), mutations, any::<u32>());
    let result = runner.run(&strategy, |(document, mutations, seed)| {
        let case = format.case(document, &mutations, seed);
        watch.begins(&case);
        let timed = || {
            let begun = worked();
            let size = parse(&case);
            (worked() - begun, size)
        };
        let (mut time, size) = timed();
        if time > slowest.get().0 {
            // The first run may include initialisation: the fastest of four counts.
            time = (0..3).map(|_| timed().0).fold(time, Duration::min);
        }
        let input = case.bytes.len();
        slowest.set(slowest.get().max((time, input)));
        if time > CASE_LIMIT {
            return Err(TestCaseError::fail(format!("took {time:?}")));
        }
        if size > most(input) {
            let why = format!("made {size} bytes of {input}");
            return Err(TestCaseError::fail(why));
        }
        Ok(())
    });
    if let Err(TestError::Fail(why, (document, mutations, seed))) = result {
        let case = format.case(document, &mutations, seed);
        panic!("{}: {why}, by seed {seed}\n{}", format.name, shown(&case));
    }
    result.expect("nothing rejects a case");
    let (time, input) = slowest.get();
    println!(
        "{}: {cases} cases, the slowest {time:?} ({input} bytes)",
        format.name
    );
}

/// The processor time of this thread (proc(5), `schedstat`), which does not depend on how busy the
/// machine is.
fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat");
    let stat = stat.expect("the tests run on Linux");
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("the first number is the time in nanoseconds"))
}

fn shown(case: &Case) -> String {
    let shown = &case.bytes[..case.bytes.len().min(SHOWN_MOST)];
    let bytes = case.bytes.len();
    format!("b\"{}\", {bytes} bytes in all", shown.escape_ascii())
}

/// Aborts the process if a case does not return: there is no other way to end a test.
struct Watch {
    current: Arc<Mutex<(Instant, Option<Case>)>>,
    /// Ends the thread when dropped.
    _ends: Sender<()>,
}

impl Watch {
    fn start(name: &'static str) -> Self {
        let current = Arc::new(Mutex::new((Instant::now(), None)));
        let (ends, ended) = channel::<()>();
        let watched = current.clone();
        thread::spawn(move || {
            while ended.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let current: &(Instant, Option<Case>) = &watched.lock().unwrap();
                if let (since, Some(case)) = current
                    && since.elapsed() > HANG_LIMIT
                {
                    eprintln!("{name} never returns from\n{}", shown(case));
                    std::process::abort();
                }
            }
        });
        Self {
            current,
            _ends: ends,
        }
    }

    fn begins(&self, case: &Case) {
        *self.current.lock().unwrap() = (Instant::now(), Some(case.clone()));
    }
}

#[test]
#[should_panic(expected = "as it was")]
fn a_parser_that_panics_is_found_with_the_least_input() {
    let format = Format::text("brackets", &["[1]", "[[]]"], &["[", "]"]);
    let deep = |case: &Case| {
        assert!(!case.bytes.starts_with(b"[[["), "as it was");
        0
    };
    run(&format, |_| 0, deep);
}

#[test]
fn pieces_are_the_whole() {
    let format = Format::text("pieces", &["abc", "abcdefghijklmnopqrstuvwxyz"], &["x"]);
    run(
        &format,
        |input| input,
        |case| {
            let joined: Vec<_> = case.pieces().flatten().copied().collect();
            assert_eq!(joined, case.bytes);
            joined.len()
        },
    );
}
