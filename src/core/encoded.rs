//! The forms of one event as doors write it: each made once, shared by all.
//! Knows nothing of what the bytes are; the door that asks supplies them.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;

/// How many forms an event keeps: one for each door that many clients use at
/// once. A door that finds no place has its form made anew each time.
const FORMS_KEPT: usize = 4;

/// Which form of an event, by a name that no other form has.
///
/// A name and not a number: doors do not know each other, and two that took the
/// same number would send each other's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format(pub &'static str);

/// The forms of one event that were made so far.
///
/// Places are filled from the first on, so a format is never in two of them.
#[derive(Debug, Default)]
pub(super) struct Encoded([OnceLock<(Format, Bytes)>; FORMS_KEPT]);

impl Encoded {
    /// The form, made by `encode` where it is not kept yet.
    ///
    /// Reading is free of locks; while a form is made for the first time, who
    /// wants the same one waits for it.
    pub(super) fn get(&self, format: Format, encode: impl FnOnce() -> Bytes) -> Cow<'_, Bytes> {
        let mut encode = Some(encode);
        for place in &self.0 {
            let (kept, bytes) = place.get_or_init(|| {
                let encode = encode.take().expect("the place that it fills is the last");
                (format, encode())
            });
            if *kept == format {
                return Cow::Borrowed(bytes);
            }
        }
        Cow::Owned(encode.expect("no place was filled with it")())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const NAMES: [&str; FORMS_KEPT + 1] = ["a", "b", "c", "d", "one too many"];

    #[test]
    fn a_form_is_made_once_and_shared_between_threads() {
        const THREADS: usize = 4;
        for _ in 0..100 {
            let encoded = Encoded::default();
            let made: [AtomicUsize; FORMS_KEPT] = Default::default();
            let start = Barrier::new(THREADS);
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let (encoded, made, start) = (&encoded, &made, &start);
                    scope.spawn(move || {
                        start.wait();
                        for turn in 0..2 * FORMS_KEPT {
                            let which = (thread + turn) % FORMS_KEPT;
                            let bytes = encoded.get(Format(NAMES[which]), || {
                                made[which].fetch_add(1, Ordering::Relaxed);
                                Bytes::from_static(NAMES[which].as_bytes())
                            });
                            assert_eq!(bytes.as_ref(), NAMES[which]);
                        }
                    });
                }
            });
            let made = made.map(|count| count.into_inner());
            assert_eq!(made, [1; FORMS_KEPT]);
        }
    }

    #[test]
    fn a_form_without_a_place_is_made_each_time() {
        let encoded = Encoded::default();
        let mut made = Vec::new();
        for _ in 0..2 {
            for name in NAMES {
                let bytes = encoded.get(Format(name), || {
                    made.push(name);
                    Bytes::from_static(name.as_bytes())
                });
                assert_eq!(bytes.as_ref(), name);
            }
        }
        assert_eq!(made, [&NAMES[..], &NAMES[FORMS_KEPT..]].concat());
    }
}
