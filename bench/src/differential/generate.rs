//! Random state machines with their inputs, each wholly given by its seed. Owns scopes of states and which features a
//! machine may use; refuses to know what a machine does when it runs.
//!
//! Every machine draws which features it may use (swarm testing, Groce et al. 2012), so that a peer's missing feature
//! leaves many machines in which everything else can be compared.

mod choice;
mod data_flow;
mod fork;
mod intrinsic;
mod jsonata;
mod shape;
mod state;
mod template;

use asl::random::Random;
use serde_json::{Map, Value, json};

pub use intrinsic::FAILING_CALLS;
use shape::{Kind, Shape};

/// A state machine to run.
pub struct Machine {
    pub seed: u64,
    pub definition: Value,
    pub input: Value,
}

/// What a machine may use.
#[derive(Debug, Clone, Copy)]
struct Features {
    advanced_paths: bool,
    assign: bool,
    choice_paths: bool,
    context: bool,
    failures: bool,
    forks: bool,
    input_output_paths: bool,
    intrinsics: bool,
    jsonata: bool,
    null_paths: bool,
    retry: bool,
}

/// The machine of a seed.
pub fn machine(seed: u64) -> Machine {
    let mut random = Random::new(seed);
    // The first number of neighbouring seeds must not decide alone.
    random.draw();
    let features = Features {
        advanced_paths: chance(&mut random, 25),
        assign: chance(&mut random, 30),
        choice_paths: chance(&mut random, 40),
        context: chance(&mut random, 40),
        failures: chance(&mut random, 50),
        forks: chance(&mut random, 70),
        input_output_paths: chance(&mut random, 50),
        intrinsics: chance(&mut random, 60),
        jsonata: chance(&mut random, 30),
        null_paths: chance(&mut random, 25),
        retry: chance(&mut random, 5),
    };
    // Without JSONata nobody mixes; with it a machine is wholly JSONata, or each state decides.
    let mixed = chance(&mut random, 25);
    let input = input(&mut random);
    let shape = Shape::of(&input);
    let mut generator = Generator {
        random,
        features,
        names: 0,
        variables: Shape::empty(),
        mixed: features.jsonata && mixed,
        jsonata: features.jsonata && !mixed,
        in_map: false,
        safe: !features.failures,
        depth: 0,
    };
    let mut definition = generator.scope(&shape);
    if generator.jsonata {
        definition["QueryLanguage"] = json!("JSONata");
    }
    Machine {
        seed,
        definition,
        input,
    }
}

/// What is drawn from, and where in the machine.
struct Generator {
    random: Random,
    features: Features,
    /// How many states and variables have a name.
    names: usize,
    /// The variables that are surely assigned.
    variables: Shape,
    /// Whether states choose their own query language.
    mixed: bool,
    /// The query language around.
    jsonata: bool,
    in_map: bool,
    /// Whether nothing may fail: where two failures would race, the specification leaves the winner open.
    safe: bool,
    depth: usize,
}

impl Generator {
    fn chance(&mut self, percent: i64) -> bool {
        chance(&mut self.random, percent)
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.between(0, end as i64) as usize
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = self.below(of.len());
        &of[at]
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// States that follow each other, skip ahead or end; `shape` is what the first of them is given.
    fn scope(&mut self, shape: &Shape) -> Value {
        let length = match self.depth {
            0 => 2 + self.below(5),
            _ => 1 + self.below(3),
        };
        let names: Vec<String> = (0..length)
            .map(|_| match self.chance(5) {
                true => self.name("Größe / "),
                false => self.name("S"),
            })
            .collect();
        let variables = self.variables.clone();
        // What each state is given: what all the ways to it have in common.
        let mut given: Vec<Option<(Shape, Shape)>> = vec![None; length];
        given[0] = Some((shape.clone(), variables.clone()));
        let mut states = Map::new();
        for at in 0..length {
            let Some((shape, known)) = given[at].take() else {
                continue;
            };
            self.variables = known;
            // Nothing may stay unreachable.
            let may_end = (at + 1..length).all(|later| given[later].is_some());
            let (state, exits) = self.state(&shape, &names, at, may_end);
            for (to, shape, variables) in exits {
                let entry = match given[to].take() {
                    None => (shape, variables),
                    Some((one, other)) => (one.common(&shape), other.common(&variables)),
                };
                given[to] = Some(entry);
            }
            states.insert(names[at].clone(), state);
        }
        self.variables = variables;
        json!({ "StartAt": names[0], "States": states })
    }
}

fn chance(random: &mut Random, percent: i64) -> bool {
    random.between(0, 100) < percent
}

fn input(random: &mut Random) -> Value {
    let texts = [
        "",
        "a",
        "b",
        "Zoë",
        "log-7.txt",
        "a*b",
        "x,y;z",
        "1",
        "true",
    ];
    let times = [
        "2020-01-01T00:00:00Z",
        "2021-06-30T12:30:00Z",
        "2021-06-30T14:30:00+02:00",
        "2020-01-01T00:00:00.500Z",
    ];
    let mut text = || texts[random.between(0, texts.len() as i64) as usize];
    let (s, t, u) = (text(), text(), text());
    let mut time = || times[random.between(0, times.len() as i64) as usize];
    let (early, late) = (time(), time());
    let mut number = || match random.between(0, 4) {
        0 => json!(random.between(-40, 40) as f64 / 4.0),
        _ => json!(random.between(-5, 12)),
    };
    let (n, m, deep) = (number(), number(), number());
    let numbers: Vec<Value> = (0..3).map(|_| number()).collect();
    let items: Vec<Value> = (0..random.between(0, 4))
        .map(
            |at| json!({ "id": at, "name": texts[random.between(0, texts.len() as i64) as usize] }),
        )
        .collect();
    json!({
        "n": n, "m": m, "s": s, "t": t, "b": random.between(0, 2) == 0, "z": null, "zero": 0,
        "early": early, "late": late, "numbers": numbers, "texts": [s, u, t], "items": items, "none": [],
        "o": { "deep": deep, "text": u, "inner": { "flag": random.between(0, 2) == 0, "k": 1 } },
        "json": json!({ "k": n, "l": [s] }).to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_valid_and_of_their_seed() {
        for seed in 0..500 {
            let made = machine(seed);
            let parsed = asl::parse(&made.definition.to_string());
            assert!(parsed.is_valid(), "seed {seed}: {:#?}", parsed.diagnostics);
            assert_eq!(made.definition, machine(seed).definition);
        }
    }
}
