//! Random numbers that a seed determines on every machine and with every library version.

/// The SplitMix64 generator (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", 2014): plain integer arithmetic, one addition of state.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A uniform number below `limit`, which is below 2^32.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((self.bits() >> 32) * limit) >> 32
    }

    /// A skewed number below `limit`, which is below 2^32: a tenth of the numbers gets nearly half
    /// of the draws.
    pub(crate) fn skewed(&mut self, limit: u64) -> u64 {
        let uniform = self.bits() >> 32;
        let cube = (((uniform * uniform) >> 32) * uniform) >> 32;
        (cube * limit) >> 32
    }

    /// True in `percent` % of the draws.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A uniform choice of `choices`, which must not be empty.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A skewed choice of `choices`, which must not be empty: the first ones are more frequent.
    pub(crate) fn popular<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.skewed(choices.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        // The first numbers of the reference implementation for the seed 1234567.
        let mut random = Random::new(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn skewed_numbers_stay_below_the_limit_and_favour_the_first_ones() {
        let mut random = Random::new(1);
        let draws: Vec<u64> = (0..10_000).map(|_| random.skewed(1000)).collect();
        assert!(draws.iter().all(|n| *n < 1000));
        let first_tenth = draws.iter().filter(|n| **n < 100).count();
        assert!((4_000..5_500).contains(&first_tenth), "{first_tenth}");
    }
}
