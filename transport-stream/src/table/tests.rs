//! Crossing dials in every order end in one link; a lost link gives way.

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fake(bool);

impl Entry for Fake {
    fn is_usable(&self) -> bool {
        self.0
    }
}

type Tab = Table<Fake, ()>;

fn at(n: u16) -> Address {
    format!("tcp:h:{n}").parse().unwrap()
}

/// A stream arrives and says its hello.
fn hello(table: &mut Tab, from: &Address) -> Result<Ticket, Greeted<Fake>> {
    let ticket = table.ticket();
    match table.hello(from, ticket) {
        Greeted::Welcome => Ok(ticket),
        refused => Err(refused),
    }
}

/// One of the two sockets of a crossing, as far as it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Socket {
    Hello,
    Welcomed(Ticket),
    Refused,
    Confirmed(Ticket),
    Done,
    GivenUp,
}

struct World {
    tables: [Tab; 2],
    dials: [Ticket; 2],
    sockets: [Socket; 2],
}

impl World {
    fn crossing() -> Self {
        let mut tables = [Tab::new(at(1), 9), Tab::new(at(2), 9)];
        let mut dial = |n: usize, peer| match tables[n].connect(&peer, || ()) {
            Connect::Dial(ticket, ()) => ticket,
            other => panic!("{other:?}"),
        };
        let dials = [dial(0, at(2)), dial(1, at(1))];
        Self { tables, dials, sockets: [Socket::Hello; 2] }
    }

    /// Takes the next step of the socket that `n` has dialled.
    fn step(&mut self, n: usize) {
        let addresses = [at(1), at(2)];
        let (me, peer) = (&addresses[n], &addresses[1 - n]);
        self.sockets[n] = match self.sockets[n] {
            Socket::Hello => match hello(&mut self.tables[1 - n], me) {
                Ok(ticket) => Socket::Welcomed(ticket),
                Err(_) => Socket::Refused,
            },
            Socket::Welcomed(ticket) => {
                if self.tables[n].welcomed(peer, peer, self.dials[n]) == Welcomed::Confirm {
                    self.tables[n].insert(peer, peer, Fake(true));
                    Socket::Confirmed(ticket)
                } else {
                    self.tables[1 - n].accept_ended(me, ticket);
                    Socket::GivenUp
                }
            }
            Socket::Confirmed(ticket) => {
                assert_eq!(self.tables[1 - n].confirmed(me, ticket), Confirmed::Take);
                self.tables[1 - n].insert(me, me, Fake(true));
                self.tables[1 - n].accept_ended(me, ticket);
                Socket::Done
            }
            end => end,
        };
    }
}

/// Every order of eight steps of the two sockets.
#[test]
fn crossing_dials_end_in_one_link() {
    for order in 0_u32..256 {
        let mut world = World::crossing();
        for bit in 0..8 {
            world.step((order >> bit & 1) as usize);
        }
        for _ in 0..4 {
            world.step(0);
            world.step(1);
        }
        let done = world.sockets.iter().filter(|s| **s == Socket::Done).count();
        assert_eq!(done, 1, "order {order:08b}: {:?}", world.sockets);
        for (table, peer) in world.tables.iter_mut().zip([at(2), at(1)]) {
            assert!(matches!(table.connect(&peer, || ()), Connect::Use(_)));
        }
    }
}

#[test]
fn who_is_about_to_be_linked_does_not_dial() {
    let mut table = Tab::new(at(1), 9);
    let ticket = hello(&mut table, &at(2)).unwrap();
    assert_eq!(table.connect(&at(2), || ()), Connect::Wait);
    table.accept_ended(&at(2), ticket);
    assert!(matches!(table.connect(&at(2), || ()), Connect::Dial(..)));
}

#[test]
fn a_newer_hello_takes_the_place_of_an_older_one() {
    let mut table = Tab::new(at(1), 9);
    let old = hello(&mut table, &at(2)).unwrap();
    let new = hello(&mut table, &at(2)).unwrap();
    assert_eq!(table.confirmed(&at(2), old), Confirmed::Stale);
    assert_eq!(table.confirmed(&at(2), new), Confirmed::Take);
}

/// Handshakes run beside each other: the hello of a dial that was given up may be read after that of the
/// dial that follows it, whose confirmation is on its way.
#[test]
fn a_hello_that_comes_late_does_not_take_the_place_of_a_newer_one() {
    let mut table = Tab::new(at(1), 9);
    let (given_up, living) = (table.ticket(), table.ticket());
    assert_eq!(table.hello(&at(2), living), Greeted::Welcome);
    assert_eq!(table.hello(&at(2), given_up), Greeted::Crossed);
    assert_eq!(table.confirmed(&at(2), living), Confirmed::Take);
}

#[test]
fn an_old_link_is_told_lost_before_a_new_one_is_there() {
    let mut table = Tab::new(at(1), 9);
    table.insert(&at(2), &at(2), Fake(false));
    assert_eq!(table.connect(&at(2), || ()), Connect::Wait);
    let ticket = hello(&mut table, &at(2)).unwrap();
    assert_eq!(table.confirmed(&at(2), ticket), Confirmed::Wait);
    table.remove(&at(2));
    assert_eq!(table.confirmed(&at(2), ticket), Confirmed::Take);
}

#[test]
fn a_hello_beside_a_link_in_use_asks_whether_it_lives() {
    let mut table = Tab::new(at(1), 9);
    table.insert(&at(2), &at(2), Fake(true));
    assert_eq!(hello(&mut table, &at(2)), Err(Greeted::Linked(Fake(true))));
    table.remove(&at(2));
    hello(&mut table, &at(2)).unwrap();
}

#[test]
fn another_name_finds_the_same_link() {
    let mut table = Tab::new(at(1), 9);
    table.insert(&at(7), &at(2), Fake(true));
    assert_eq!(table.connect(&at(7), || ()), Connect::Use(Fake(true)));
    table.remove(&at(2));
    assert!(matches!(table.connect(&at(7), || ()), Connect::Dial(..)));
}

#[test]
fn streams_that_linger_are_bounded_as_links_are() {
    let mut table = Tab::new(at(1), 2);
    assert!(table.linger() && table.linger() && !table.linger());
    assert!(!table.is_at_rest());
    table.lingered();
    assert!(table.linger());
    table.lingered();
    table.lingered();
    assert!(table.is_at_rest());
}

#[test]
fn links_are_bounded_and_a_closed_table_takes_none() {
    let mut table = Tab::new(at(1), 1);
    table.insert(&at(2), &at(2), Fake(true));
    assert_eq!(table.connect(&at(3), || ()), Connect::TooMany);
    assert_eq!(hello(&mut table, &at(3)), Err(Greeted::TooMany));
    table.remove(&at(2));
    let ticket = hello(&mut table, &at(3)).unwrap();
    table.insert(&at(2), &at(2), Fake(true));
    assert_eq!(table.confirmed(&at(3), ticket), Confirmed::Stale, "others were quicker");
    table.remove(&at(2));
    let Connect::Dial(dial, ()) = table.connect(&at(4), || ()) else { panic!("no dial") };
    table.insert(&at(2), &at(2), Fake(true));
    assert_eq!(table.welcomed(&at(4), &at(4), dial), Welcomed::TooMany, "so it is for a dial");
    assert!(table.close() && !table.close());
    assert_eq!(table.connect(&at(2), || ()), Connect::Closed);
    assert_eq!(hello(&mut table, &at(2)), Err(Greeted::Closed));
}
