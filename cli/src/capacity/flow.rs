//! How often each type of event happens, and what each function is given: at most.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jetlag::{Description, Source};
use serde::Serialize;

use super::rate::Rate;

/// Every type of event.
const ANY: &str = "*.*";

/// What was said of rates.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Of everything that comes from outside together.
    pub total: Option<Rate>,
    /// Of single types.
    pub types: BTreeMap<String, Rate>,
}

/// Why rates cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unclear {
    /// A rate is said of what no function knows.
    Unknown {
        /// The type.
        name: String,
        /// What comes from outside.
        inputs: String,
    },
    /// Nothing is said.
    Unsaid {
        /// What comes from outside.
        inputs: String,
    },
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, inputs } => write!(
                f,
                "no function has anything to do with events of type {name}; those that come from outside are {inputs}"
            ),
            Self::Unsaid { inputs } => {
                write!(f, "no rate is said of anything that comes from outside, which is {inputs}")
            }
        }
    }
}

impl std::error::Error for Unclear {}

/// How often things happen, at most: an input leads to each type of event behind it at most once.
#[derive(Debug, Clone, Serialize)]
pub struct Flow {
    /// Of each type of event.
    pub types: BTreeMap<String, Happening>,
    /// What each function is given, in the order of contracts.
    pub functions: Vec<Given>,
    /// What comes from outside and nothing was said of: taken as never.
    pub unsaid: Vec<String>,
}

/// How often a type of event happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Happening {
    /// A day.
    #[serde(rename = "per_day")]
    pub rate: Rate,
    /// Whether it was said, or follows from what was.
    pub is_said: bool,
}

/// What a function is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Given {
    /// The function.
    pub function: String,
    /// Inputs a day.
    #[serde(rename = "inputs_per_day")]
    pub inputs: Rate,
    /// What it stores for inputs of which it tells nothing, a day.
    #[serde(rename = "receipts_per_day")]
    pub receipts: Rate,
}

impl Flow {
    /// What follows from what is `asked`. Of a total, all is taken as of the type that makes most of it.
    ///
    /// # Errors
    /// A rate is said of an unknown type, or of nothing that comes from outside.
    pub fn of(functions: &[Description], asked: &Asked) -> Result<Self, Unclear> {
        let inputs = inputs(functions);
        let said: Vec<&str> = inputs.iter().copied().collect();
        let known: BTreeSet<&str> =
            functions.iter().flat_map(emitted).chain(inputs.iter().copied()).collect();
        let listing = || said.join(", ");
        if let Some(name) = asked.types.keys().find(|name| !known.contains(name.as_str())) {
            return Err(Unclear::Unknown { name: name.clone(), inputs: listing() });
        }
        let open: Vec<&str> =
            inputs.iter().copied().filter(|name| !asked.types.contains_key(*name)).collect();
        let Some(total) = asked.total else {
            if open.len() == inputs.len() {
                return Err(Unclear::Unsaid { inputs: listing() });
            }
            let mut flow = Self::from(functions, &inputs, &asked.types);
            flow.unsaid = open.into_iter().map(str::to_owned).collect();
            return Ok(flow);
        };
        let flows = open.into_iter().map(|name| {
            let mut types = asked.types.clone();
            types.insert(name.to_owned(), total);
            Self::from(functions, &inputs, &types)
        });
        let most = flows.max_by_key(Self::messages);
        Ok(most.unwrap_or_else(|| Self::from(functions, &inputs, &asked.types)))
    }

    /// What is stored in EVENTS, together.
    pub fn messages(&self) -> Rate {
        let events = self.types.values().map(|type_| type_.rate);
        events.chain(self.functions.iter().map(|given| given.receipts)).sum()
    }

    fn from(functions: &[Description], inputs: &BTreeSet<&str>, said: &BTreeMap<String, Rate>) -> Self {
        let mut types: BTreeMap<String, Happening> = inputs
            .iter()
            .map(|name| {
                let rate = said.get(*name).copied().unwrap_or_default();
                ((*name).to_owned(), Happening { rate, is_said: said.contains_key(*name) })
            })
            .collect();
        let derived: BTreeSet<&str> =
            functions.iter().flat_map(emitted).filter(|name| !inputs.contains(name)).collect();
        // From above: everything that comes in leads to each type, until what its makers are given says less. Each round
        // is a bound, and as many as there are types carry a bound from one end to the other.
        let everything: Rate = types.values().map(|type_| type_.rate).sum();
        for name in &derived {
            let rate = said.get(*name).copied();
            let is_said = rate.is_some();
            types.insert((*name).to_owned(), Happening { rate: rate.unwrap_or(everything), is_said });
        }
        for _ in 0..types.len() {
            let before = types.clone();
            let open = derived.iter().filter(|name| !said.contains_key(**name));
            for name in open {
                let makers = functions.iter().filter(|function| emitted(function).any(|made| made == *name));
                let rate: Rate = makers.map(|maker| runs(maker, &before)).sum();
                types.insert((*name).to_owned(), Happening { rate: rate.min(everything), is_said: false });
            }
        }
        let given = functions.iter().map(|function| given(function, inputs, &types)).collect();
        let mut flow = Self { types, functions: given, unsaid: Vec::new() };
        // The copy has everything that is told, receipts too.
        let everything = flow.messages();
        let both = flow.functions.iter_mut().zip(functions);
        for (given, _) in both.filter(|(_, function)| function.reads == Source::Audit) {
            given.inputs = everything;
        }
        flow
    }
}

/// What comes from outside: what is admitted, taken as requests, or emitted by nobody.
fn inputs(functions: &[Description]) -> BTreeSet<&str> {
    let admitted = functions.iter().flat_map(|function| {
        let requested = function.endpoints.iter().map(|endpoint| endpoint.event_type.as_str());
        function.admits.iter().map(|kind| kind.name.as_str()).chain(requested)
    });
    let made: BTreeSet<&str> = functions.iter().flat_map(emitted).collect();
    let heard = functions.iter().flat_map(|function| &function.listens_to).map(|kind| kind.name.as_str());
    heard.filter(|name| *name != ANY && !made.contains(name)).chain(admitted).collect()
}

fn emitted(function: &Description) -> impl Iterator<Item = &str> {
    function.emits.iter().map(|kind| kind.name.as_str())
}

/// How often the function may tell something. One that reads the trail is taken to be given full batches.
fn runs(function: &Description, types: &BTreeMap<String, Happening>) -> Rate {
    let all = || types.values().map(|type_| type_.rate).sum();
    let heard = |name: &str| types.get(name).map(|type_| type_.rate).unwrap_or_default();
    let inputs: Rate = if function.listens_to.iter().any(|kind| kind.name == ANY) {
        all()
    } else {
        function.listens_to.iter().map(|kind| heard(&kind.name)).sum()
    };
    // What reads the trail tells of a batch, any other function of each input.
    if function.reads == Source::Audit { inputs.part(function.batch as u64) } else { inputs }
}

fn given(function: &Description, inputs: &BTreeSet<&str>, types: &BTreeMap<String, Happening>) -> Given {
    let name = function.name.clone();
    if function.reads == Source::Audit {
        return Given { function: name, inputs: Rate::default(), receipts: Rate::default() };
    }
    // What is admitted is an input too: it is read from INTAKE, and becomes an event.
    let admitted = function.admits.iter().filter_map(|kind| types.get(&kind.name)).map(|type_| type_.rate);
    let heard = runs(function, types);
    // A handler that keeps no state stores nothing for an input of which it tells nothing.
    let told: Rate = emitted(function)
        .filter(|name| !inputs.contains(name))
        .filter_map(|name| types.get(name))
        .map(|type_| type_.rate)
        .sum();
    let receipts = if function.keeps.is_empty() { Rate::default() } else { heard.over(told) };
    Given { function: name, inputs: admitted.chain([heard]).sum(), receipts }
}
