//! Chance that can be had again: the same seed throws the same. Knows nothing
//! of what it decides, and must not be used where somebody could gain by guessing.

/// The step of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom
/// number generators", 2014), which is small and good enough for a programme.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sequence of throws.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The sequence of this seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own for somebody else.
    pub(super) fn another(&mut self) -> Self {
        Self(self.throw())
    }

    /// A number below `most`, which is not 0.
    pub(super) fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most).expect("a usize has at most 64 bits");
        usize::try_from(self.throw() % most).expect("it is below a usize")
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Puts all in another order, each order as likely as any.
    pub(super) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last + 1));
        }
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_throws_the_same_again_and_another_seed_something_else() {
        let throws = |seed| {
            let mut dice = Dice::new(seed);
            (0..20).map(|_| dice.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(throws(1), throws(1));
        assert_ne!(throws(1), throws(2));
    }

    #[test]
    fn every_number_is_thrown_and_none_beyond() {
        let mut dice = Dice::new(3);
        let mut thrown = [0; 6];
        for _ in 0..600 {
            thrown[dice.below(6)] += 1;
        }
        assert!(thrown.iter().all(|times| *times > 50), "{thrown:?}");
    }

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut all: Vec<_> = (0..50).collect();
        Dice::new(4).shuffle(&mut all);
        assert_ne!(all, (0..50).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }
}
