//! What the station plays, one item after the other, without end: the format of
//! its hours. Knows no time of day and nothing of how it is told to anybody.

use std::collections::VecDeque;
use std::time::Duration;

use super::dice::Dice;
use super::options::Speed;
use super::station::{Between, LINKS, SONGS, SPOTS, Song};

/// About twenty-five minutes, again and again. It begins with a song, since
/// that is what somebody who tries an app wants to see first.
const FORMAT: [Slot; 16] = [
    Slot::Song,
    Slot::Song,
    Slot::Link,
    Slot::Song,
    Slot::Spot,
    Slot::Spot,
    Slot::Link,
    Slot::Song,
    Slot::Song,
    Slot::SongByHand,
    Slot::Link,
    Slot::Song,
    Slot::Spot,
    Slot::Link,
    Slot::Song,
    Slot::Link,
];

/// How many of the latest songs are not played again, where the order is new.
const APART: usize = 10;

/// What a file has before and behind what is played, at most, in milliseconds.
const TRIM_MOST: usize = 3_000;

/// What kind of item it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Listeners see what it is.
    Song,
    /// A jingle, an identification or somebody who speaks.
    Link,
    /// Somebody has paid for it.
    Spot,
}

/// An item of the station's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What kind.
    pub kind: Kind,
    /// The title.
    pub title: &'static str,
    /// Who plays it; for a spot the advertiser, who must not be shown.
    pub artist: &'static str,
    /// What it is on, if anything.
    pub album: &'static str,
    /// What is played of it.
    pub length: Duration,
    /// What its file has before that.
    pub(super) before: Duration,
    /// What its file has behind it.
    pub(super) behind: Duration,
    /// Whether the presenter plays it, and the log did not know of it before.
    pub(super) by_hand: bool,
    /// Its number in the log.
    pub(super) number: u64,
}

impl Item {
    /// The same item when everything goes faster.
    fn at_speed(self, speed: Speed) -> Self {
        Self {
            length: in_tenths(speed.of(self.length)),
            before: in_tenths(speed.of(self.before)),
            behind: in_tenths(speed.of(self.behind)),
            ..self
        }
    }
}

/// A time to the tenth of a millisecond: documents have no more digits, and
/// lengths are to add up.
fn in_tenths(time: Duration) -> Duration {
    let tenth = Duration::from_micros(100);
    let tenths = time.as_micros() / tenth.as_micros();
    tenth * u32::try_from(tenths).expect("an item lasts minutes")
}

/// All that is played, in order.
pub(super) struct Programme {
    dice: Dice,
    speed: Speed,
    /// The songs that are still to be played before any is played again.
    songs: Vec<&'static Song>,
    /// The latest songs, the newest last; at most [`APART`].
    played: VecDeque<&'static str>,
    /// The latest of what is no song.
    between: &'static str,
    number: u64,
}

impl Programme {
    /// The programme of this seed, at this speed.
    pub(super) fn new(seed: u64, speed: Speed) -> Self {
        Self {
            dice: Dice::new(seed),
            speed,
            songs: Vec::new(),
            played: VecDeque::new(),
            between: "",
            number: 0,
        }
    }

    fn song(&mut self) -> &'static Song {
        if self.songs.is_empty() {
            self.songs = SONGS.iter().collect();
            self.dice.shuffle(&mut self.songs);
        }
        let is_fresh = |song: &&Song| !self.played.contains(&song.title);
        let at = self.songs.iter().rposition(is_fresh);
        let song = self.songs.remove(at.unwrap_or_default());
        self.played.push_back(song.title);
        if self.played.len() > APART {
            self.played.pop_front();
        }
        song
    }

    fn between(&mut self, of: &'static [Between]) -> &'static Between {
        loop {
            let drawn = &of[self.dice.below(of.len())];
            if drawn.title != self.between {
                self.between = drawn.title;
                return drawn;
            }
        }
    }

    fn trim(&mut self) -> Duration {
        let milliseconds = self.dice.below(TRIM_MOST);
        Duration::from_millis(u64::try_from(milliseconds).expect("it is below the most"))
    }
}

impl Iterator for Programme {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let number = self.number;
        self.number += 1;
        let slots = u64::try_from(FORMAT.len()).expect("a format has few slots");
        let slot = FORMAT[usize::try_from(number % slots).expect("it is below the slots")];
        let (kind, title, artist, album, seconds) = match slot {
            Slot::Song | Slot::SongByHand => {
                let song = self.song();
                let Song {
                    title,
                    artist,
                    album,
                    seconds,
                } = *song;
                (Kind::Song, title, artist, album, seconds)
            }
            Slot::Link => {
                let link = self.between(&LINKS);
                (Kind::Link, link.title, link.advertiser, "", link.seconds)
            }
            Slot::Spot => {
                let spot = self.between(&SPOTS);
                (Kind::Spot, spot.title, spot.advertiser, "", spot.seconds)
            }
        };
        let (before, behind) = (self.trim(), self.trim());
        let item = Item {
            kind,
            title,
            artist,
            album,
            length: Duration::from_secs(seconds.into()),
            before,
            behind,
            by_hand: slot == Slot::SongByHand,
            number,
        };
        Some(item.at_speed(self.speed))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Song,
    SongByHand,
    Link,
    Spot,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some hours of a programme.
    fn hours(seed: u64, speed: u16) -> Vec<Item> {
        Programme::new(seed, Speed::try_from(speed).unwrap())
            .take(200)
            .collect()
    }

    #[test]
    fn a_seed_plays_the_same_again_and_another_seed_something_else() {
        assert_eq!(hours(1, 1), hours(1, 1));
        assert_ne!(hours(1, 1), hours(2, 1));
    }

    #[test]
    fn it_begins_with_a_song_and_has_everything() {
        let all = hours(5, 1);
        assert_eq!(all[0].kind, Kind::Song);
        for kind in [Kind::Song, Kind::Link, Kind::Spot] {
            let of_kind = all.iter().filter(|item| item.kind == kind).count();
            assert!(of_kind > 20, "{of_kind} of {kind:?}");
        }
        assert!(all.iter().any(|item| item.by_hand));
    }

    #[test]
    fn no_song_comes_again_soon_and_nothing_twice_in_a_row() {
        for seed in 0..20 {
            let all = hours(seed, 1);
            let pairs = all.windows(2);
            pairs.for_each(|pair| assert_ne!(pair[0].title, pair[1].title));
            let songs = all.iter().filter(|item| item.kind == Kind::Song);
            let songs: Vec<_> = songs.map(|item| item.title).collect();
            assert!(songs.len() > 2 * SONGS.len(), "{} songs", songs.len());
            for (at, song) in songs.iter().enumerate() {
                let lately = &songs[at.saturating_sub(APART)..at];
                assert!(!lately.contains(song), "{song} again: {lately:?}");
            }
        }
    }

    #[test]
    fn at_a_speed_everything_is_shorter() {
        let sixty = Speed::try_from(60).unwrap();
        for (slow, fast) in hours(6, 1).into_iter().zip(hours(6, 60)) {
            let wrong = slow.length / 60 - fast.length;
            assert!(wrong < Duration::from_micros(100), "{wrong:?}");
            assert_eq!(slow.at_speed(sixty), fast);
        }
    }
}
