//! A behaviour: a process whose code can be replaced while it runs.
//!
//! `midflight build` makes a bundle of this crate, `midflight watch` brings it to a running node whenever
//! you save.

use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

/// Asks to be greeted. The reply is [`Greeting`].
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "NAME.Hello", version = 1)]
pub struct Hello {
    pub name: String,
}

/// A greeting.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "NAME.Greeting", version = 1)]
pub struct Greeting {
    pub text: String,
}

/// The state: what stays when the code changes. When its form changes, raise the version and say how the old
/// state becomes the new one: `#[convert_from(1)]`, and `#[convert_to(1)]` for the way back.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 1)]
pub struct Greeter {
    greeted: u64,
}

#[behaviour(name = "NAME", version = 1)]
impl Greeter {
    fn init(_cx: &mut Context<Self>) -> Self {
        Greeter { greeted: 0 }
    }

    #[handle]
    fn hello(&mut self, _cx: &mut Context<Self>, msg: Hello) -> Greeting {
        Greeting { text: self.greet(&msg.name) }
    }

    fn greet(&mut self, name: &str) -> String {
        self.greeted += 1;
        format!("hello {name}, you are number {}", self.greeted)
    }
}

midflight_abi::export!(Greeter);

// Once there is a second version: docs/testing-updates.md of Midflight has a kit that tries the update.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_are_counted() {
        let mut greeter = Greeter { greeted: 0 };
        assert_eq!(greeter.greet("Ada"), "hello Ada, you are number 1");
        assert_eq!(greeter.greet("Grace"), "hello Grace, you are number 2");
    }
}
