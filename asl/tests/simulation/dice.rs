//! Owns chance for the simulation: the engine's own generator with what a generator of machines asks of it.

use asl::random::Random;

/// A source of choices; the same seed gives the same ones.
#[derive(Debug, Clone)]
pub struct Dice(Random);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(Random::new(seed))
    }

    /// A source of its own for something that has a number, so that what is drawn for it depends on nothing else.
    pub fn of(seed: u64, number: u64) -> Dice {
        Dice(Random::new(
            Random::new(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d)).draw(),
        ))
    }

    pub fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// A number from 0 to below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0.between(0, sides as i64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0.between(low, high + 1)
    }

    /// Whether something happens that happens in so many of a thousand cases.
    pub fn permille(&mut self, share: usize) -> bool {
        self.roll(1000) < share
    }

    /// Whether something happens that happens in so many of a hundred cases.
    pub fn percent(&mut self, share: usize) -> bool {
        self.roll(100) < share
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.roll(all.len())]
    }
}
