//! Owns making a case that broke smaller, as long as it breaks in the same way.

use serde_json::{Value, json};

use super::case::{Broken, Case};

/// How often a smaller case is tried.
const TRIES_MAX: usize = 3000;

/// What two ways to break have in common: the message up to what is told of the case itself.
fn way(broken: &Broken) -> String {
    let words = broken.message.chars().filter(|c| !c.is_ascii_digit());
    words.take(28).collect()
}

/// The smallest case found that breaks in the same way.
pub fn shrink(case: &Case, broken: Box<Broken>) -> (Case, Box<Broken>) {
    let wanted = way(&broken);
    let (mut best, mut best_broken) = (case.clone(), broken);
    let mut tries = 0;
    loop {
        let mut smaller = None;
        for candidate in candidates(&best) {
            tries += 1;
            if tries > TRIES_MAX {
                return (best, best_broken);
            }
            if let Err(broken) = candidate.run()
                && way(&broken) == wanted
            {
                smaller = Some((candidate, broken));
                break;
            }
        }
        match smaller {
            Some((case, broken)) => (best, best_broken) = (case, broken),
            None => return (best, best_broken),
        }
    }
}

/// Cases that are a little smaller.
fn candidates(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = case.clone();
        change(&mut case);
        case
    };
    let faults = &case.faults;
    let crashes = faults.crashes.len()
        + faults.stops.len()
        + faults.jumps.len()
        + faults.strange_redrives.len();
    if crashes > 0 {
        found.push(with(&|case| case.faults.crashes.clear()));
        found.push(with(&|case| case.faults.stops.clear()));
        found.push(with(&|case| case.faults.jumps.clear()));
        found.push(with(&|case| case.faults.strange_redrives.clear()));
        found.retain(|smaller| {
            let faults = &smaller.faults;
            faults.crashes.len()
                + faults.stops.len()
                + faults.jumps.len()
                + faults.strange_redrives.len()
                < crashes
        });
    }
    for (is, change) in [
        (
            faults.late_timers,
            (|case: &mut Case| case.faults.late_timers = false) as fn(&mut Case),
        ),
        (faults.redrives > 0, |case| case.faults.redrives -= 1),
        (faults.stray > 0, |case| case.faults.stray = 0),
        (faults.silent > 0, |case| case.faults.silent = 0),
        (faults.failing > 0, |case| case.faults.failing = 0),
        (faults.processor, |case| case.faults.processor = false),
    ] {
        if is {
            found.push(with(&change));
        }
    }
    let mut places = Vec::new();
    collect(&case.definition, String::new(), &mut places);
    for place in places {
        let mut smaller = case.clone();
        if cut(&mut smaller.definition, &place) && smaller.definition != case.definition {
            found.push(smaller);
        }
    }
    found
}

/// What may be cut away.
fn collect(value: &Value, at: String, places: &mut Vec<String>) {
    const CUT: [&str; 22] = [
        "States",
        "Retry",
        "Catch",
        "Assign",
        "Branches",
        "MaxConcurrency",
        "MaxConcurrencyPath",
        "ToleratedFailureCount",
        "ToleratedFailurePercentage",
        "ToleratedFailureCountPath",
        "TimeoutSeconds",
        "TimeoutSecondsPath",
        "HeartbeatSeconds",
        "ItemBatcher",
        "ItemReader",
        "Label",
        "InputPath",
        "ResultSelector",
        "ItemSelector",
        "MaxDelaySeconds",
        "JitterStrategy",
        "BackoffRate",
    ];
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let at = format!("{at}/{name}");
                match name.as_str() {
                    "States" | "Branches" => collect(inner, at, places),
                    _ if CUT.contains(&name.as_str()) => {
                        places.push(at.clone());
                        collect(inner, at, places);
                    }
                    _ => {
                        if inner.get("Type").is_some() {
                            places.push(at.clone());
                        }
                        collect(inner, at, places);
                    }
                }
            }
        }
        Value::Array(all) => {
            for (index, inner) in all.iter().enumerate() {
                let at = format!("{at}/{index}");
                places.push(at.clone());
                collect(inner, at, places);
            }
        }
        _ => {}
    }
}

/// Cuts something away: a state becomes a Pass state, anything else goes. Whether there was something.
fn cut(definition: &mut Value, place: &str) -> bool {
    let Some((above, last)) = place.rsplit_once('/') else {
        return false;
    };
    if let Some(state) = definition.pointer_mut(place)
        && state.get("Type").is_some()
    {
        if state["Type"] == "Pass" || state["Type"] == "Choice" {
            return false;
        }
        let next = state.get("Next").cloned();
        let language = state.get("QueryLanguage").cloned();
        *state = json!({"Type": "Pass"});
        match next {
            Some(next) => state["Next"] = next,
            None => state["End"] = json!(true),
        }
        if let Some(language) = language {
            state["QueryLanguage"] = language;
        }
        return true;
    }
    match definition.pointer_mut(above) {
        Some(Value::Object(fields)) => fields.shift_remove(last).is_some(),
        Some(Value::Array(all)) => match last.parse() {
            Ok(index) if index < all.len() && all.len() > 1 => {
                all.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}
