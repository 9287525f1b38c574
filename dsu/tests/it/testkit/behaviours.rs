//! A scale that adds up, and successors of it that are wrong, each in one way.

use midflight_abi::prelude::*;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "scale.Put", version = 1)]
pub(super) struct Put {
    pub(super) grams: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "scale.Shows", version = 1)]
pub(super) struct Shows {
    pub(super) grams: u64,
    pub(super) by: u32,
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "scale.Printed", version = 1)]
pub(super) struct Printed {
    grams: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, State)]
#[state(version = 1)]
pub(super) struct Scale {
    pub(super) grams: u64,
    pub(super) puts: u64,
    pub(super) note: String,
}

#[behaviour(name = "scale", version = 1, sends(Printed))]
impl Scale {
    fn init(_cx: &mut Context<Self>) -> Self {
        Scale { grams: 0, puts: 0, note: String::new() }
    }

    #[handle]
    fn put(&mut self, cx: &mut Context<Self>, msg: Put) -> Shows {
        self.grams += u64::from(msg.grams);
        self.puts += 1;
        cx.send("printer", &Printed { grams: self.grams });
        Shows { grams: self.grams, by: 1 }
    }
}

/// What the successors have in common: the state is without the note.
macro_rules! successor {
    ($name:ident, $put:expr, from: $from:expr, to: $to:expr) => {
        #[derive(Debug, Serialize, Deserialize, State)]
        #[state(version = 2)]
        pub(super) struct $name {
            grams: u64,
            puts: u64,
        }

        #[behaviour(name = "scale", version = 2, sends(Printed))]
        impl $name {
            fn init(_cx: &mut Context<Self>) -> Self {
                $name { grams: 0, puts: 0 }
            }

            #[handle]
            fn put(&mut self, cx: &mut Context<Self>, msg: Put) -> Shows {
                self.grams += u64::from(msg.grams);
                self.puts += 1;
                cx.send("printer", &Printed { grams: self.grams });
                let put: fn(&mut Self) -> u64 = $put;
                Shows { grams: put(self), by: 2 }
            }

            #[convert_from(1)]
            fn from_v1(old: Scale) -> Self {
                let from: fn(Scale) -> Self = $from;
                from(old)
            }

            #[convert_to(1)]
            fn to_v1(&self) -> Scale {
                let to: fn(&Self) -> Scale = $to;
                to(self)
            }
        }
    };
}

successor!(
    Good,
    |scale| scale.grams,
    from: |old| Good { grams: old.grams, puts: old.puts },
    to: |new| Scale { grams: new.grams, puts: new.puts, note: String::new() }
);

successor!(
    // What was put more than twice is forgotten.
    Forgets,
    |scale| scale.grams,
    from: |old| Forgets { grams: if old.puts > 2 { 0 } else { old.grams }, puts: old.puts },
    to: |new| Scale { grams: new.grams, puts: new.puts, note: String::new() }
);

successor!(
    // Above a number that no test by hand comes to, the way back cuts the sum.
    Narrows,
    |scale| scale.grams,
    from: |old| Narrows { grams: old.grams, puts: old.puts },
    to: |new| Scale {
        grams: if new.grams > 5_000_000_000 { new.grams & 0xffff_ffff } else { new.grams },
        puts: new.puts,
        note: String::new(),
    }
);

successor!(
    // Wrong by one, now and then.
    Miscounts,
    |scale| scale.grams + u64::from(scale.puts == 4),
    from: |old| Miscounts { grams: old.grams, puts: old.puts },
    to: |new| Scale { grams: new.grams, puts: new.puts, note: String::new() }
);

successor!(
    // Well for a long time.
    FailsLate,
    |scale| {
        assert!(scale.puts <= 10_000, "no more room after {} puts", scale.puts);
        scale.grams
    },
    from: |old| FailsLate { grams: old.grams, puts: old.puts },
    to: |new| Scale { grams: new.grams, puts: new.puts, note: String::new() }
);

/// A number that cannot be written where it is 13.
#[derive(Debug, Clone, Deserialize, Schema)]
pub(super) struct Unlucky(u32);

impl Serialize for Unlucky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            13 => Err(S::Error::custom("13 is not written")),
            number => serializer.serialize_newtype_struct("Unlucky", &number),
        }
    }
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "jar.Fill", version = 1)]
pub(super) struct Fill {
    pub(super) number: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, State)]
#[state(version = 1)]
pub(super) struct Jar {
    number: Unlucky,
}

#[behaviour(name = "jar", version = 1)]
impl Jar {
    fn init(_cx: &mut Context<Self>) -> Self {
        Jar { number: Unlucky(0) }
    }

    #[handle]
    fn fill(&mut self, _cx: &mut Context<Self>, msg: Fill) {
        self.number.0 = msg.number;
    }
}

/// Takes seven of the old form for thirteen.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 2)]
pub(super) struct Unsavable {
    number: Unlucky,
}

#[behaviour(name = "jar", version = 2)]
impl Unsavable {
    fn init(_cx: &mut Context<Self>) -> Self {
        Unsavable { number: Unlucky(0) }
    }

    #[handle]
    fn fill(&mut self, _cx: &mut Context<Self>, msg: Fill) {
        self.number.0 = msg.number;
    }

    #[convert_from(1)]
    fn from_v1(old: Jar) -> Self {
        Unsavable { number: if old.number.0 == 7 { Unlucky(13) } else { old.number } }
    }

    #[convert_to(1)]
    fn to_v1(&self) -> Jar {
        Jar { number: self.number.clone() }
    }
}

/// Ends as soon as it begins.
#[derive(Debug, Clone, Serialize, Deserialize, State)]
#[state(version = 1)]
pub(super) struct Brief {}

#[behaviour(name = "brief", version = 1)]
impl Brief {
    fn init(cx: &mut Context<Self>) -> Self {
        cx.exit("normal");
        Brief {}
    }

    #[handle]
    fn fill(&mut self, _cx: &mut Context<Self>, _msg: Fill) {}
}
