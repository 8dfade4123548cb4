//! Everything that the controller does to the outside, in order: each write to the API server and each call that changes a
//! gateway is an effect, with a name. What only reads is counted apart.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::blow::{Blow, Point};
use crate::clock::Clock;
use crate::life::Life;

#[derive(Clone)]
pub(crate) struct Ledger(Arc<Mutex<Book>>);

struct Book {
    clock: Clock,
    effects: Vec<Effect>,
    seen: HashMap<String, u32>,
    reads: u64,
    /// What shall happen to one of them; taken when it has.
    blow: Option<(Point, Blow)>,
    life: Option<Life>,
    /// The step of the scenario that is being played.
    step: usize,
    /// What no controller may do, such as end by itself.
    trouble: Option<String>,
    /// By uid: an object's kind and name, also when it is gone.
    objects: BTreeMap<String, (String, String)>,
    /// Of each name: how often something was made, as the API server answered.
    made: BTreeMap<String, u32>,
}

#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub(crate) point: Point,
    pub(crate) whose: Whose,
    pub(crate) told: String,
}

/// Who was asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Api,
    Gateway,
}

/// A controller that does more than this writes for ever, and perhaps without any time going by.
const TOO_MANY: usize = 3_000;

impl Ledger {
    pub(crate) fn new(clock: Clock, blow: Option<(Point, Blow)>) -> Self {
        Self(Arc::new(Mutex::new(Book {
            clock,
            effects: Vec::new(),
            seen: HashMap::new(),
            reads: 0,
            blow,
            life: None,
            step: 0,
            trouble: None,
            objects: BTreeMap::new(),
            made: BTreeMap::new(),
        })))
    }

    /// An effect is about to happen: what shall happen to it.
    pub(crate) fn effect(&self, whose: Whose, name: String) -> Option<Blow> {
        let mut book = self.0.lock().unwrap();
        let book = &mut *book;
        let nth = book.seen.entry(name.clone()).or_default();
        *nth += 1;
        let point = Point {
            effect: name,
            nth: *nth,
        };
        let struck = book.blow.take_if(|(at, _)| *at == point);
        let blow = struck.map(|(_, blow)| blow);
        let life = book.life.as_ref().map_or(0, Life::number);
        let (when, step, number) = (book.clock.shown(), book.step, book.effects.len() + 1);
        let mut told = format!(
            "{when}  step {step:2}  life {life}  {number:>4}  {}",
            point.effect
        );
        if let Some(blow) = blow {
            write!(told, "   <- {blow} this").unwrap();
        }
        book.effects.push(Effect { point, whose, told });
        if book.effects.len() >= TOO_MANY {
            book.trouble = Some("it writes without end".to_owned());
            if let Some(life) = &book.life {
                life.kill();
            }
        }
        blow
    }

    /// An object that was made, as the API server shows it.
    pub(crate) fn knows(&self, object: &Value) {
        let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        if !text("uid").is_empty() {
            let known = (kind, text("name"));
            self.0.lock().unwrap().objects.insert(text("uid"), known);
        }
    }

    /// With objects' names for their uids, which are of chance.
    pub(crate) fn told_by_name(&self, text: &str) -> String {
        let mut told = text.to_owned();
        for (uid, (_, name)) in &self.0.lock().unwrap().objects {
            if told.contains(uid.as_str()) {
                told = told.replace(uid.as_str(), name);
            }
        }
        told
    }

    pub(crate) fn objects(&self) -> BTreeMap<String, (String, String)> {
        self.0.lock().unwrap().objects.clone()
    }

    pub(crate) fn read(&self) {
        self.0.lock().unwrap().reads += 1;
    }

    /// Events may be told twice: who is killed between a status and its Event tells it again or never.
    pub(crate) fn has_made(&self, name: String) {
        if name.starts_with("create Event ") {
            return;
        }
        *self.0.lock().unwrap().made.entry(name).or_default() += 1;
    }

    pub(crate) fn begins(&self, life: &Life) {
        self.0.lock().unwrap().life = Some(life.clone());
    }

    pub(crate) fn life(&self) -> Option<Life> {
        self.0.lock().unwrap().life.clone()
    }

    pub(crate) fn enter(&self, step: usize) {
        self.0.lock().unwrap().step = step;
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().effects.len()
    }

    /// Nothing can come of this world any more.
    pub(crate) fn spoil(&self, why: String) {
        self.0.lock().unwrap().trouble.get_or_insert(why);
    }

    pub(crate) fn trouble(&self) -> Option<String> {
        self.0.lock().unwrap().trouble.clone()
    }

    pub(crate) fn effects(&self) -> Vec<Effect> {
        self.0.lock().unwrap().effects.clone()
    }

    pub(crate) fn made(&self) -> BTreeMap<String, u32> {
        self.0.lock().unwrap().made.clone()
    }

    pub(crate) fn reads(&self) -> u64 {
        self.0.lock().unwrap().reads
    }

    /// A blow that was never dealt.
    pub(crate) fn missed(&self) -> Option<(Point, Blow)> {
        self.0.lock().unwrap().blow.clone()
    }

    /// The effects from `first` on, at most so many of them, the last ones.
    pub(crate) fn told(&self, first: usize, most: usize) -> String {
        let effects = self.effects();
        let from = first.max(effects.len().saturating_sub(most));
        let mut told = String::new();
        if from > first {
            writeln!(told, "  ... {} before these", from - first).unwrap();
        }
        for effect in &effects[from.min(effects.len())..] {
            writeln!(told, "  {}", effect.told).unwrap();
        }
        told
    }
}
