//! Which backend a key leads to: the lookup table of Maglev (Eisenbud et al., NSDI 2016), by weight.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use siphasher::sip::SipHasher13;

use super::pool::Member;
use crate::limits::{MAGLEV_MEMBERS_FEW, MAGLEV_PLACES_FEW, MAGLEV_PLACES_MANY};
use crate::rng::Rng;

/// Every place of the table belongs to one member, as many to each as its weight says. A member takes its places
/// along a walk that follows from its address alone, so two tables of nearly the same members are nearly the same,
/// on any machine and whatever the order of the file.
///
/// It knows nothing of health: a key whose member may not be picked goes on along a walk of its own, so only the
/// keys of that member move, each to where it would always go next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maglev {
    /// The member each place belongs to, by its index in the pool.
    places: Box<[u16]>,
    /// The hash of each member's address.
    marks: Box<[u64]>,
}

/// An order of all places: from one of them, in steps of one length. The table's size is prime, so it comes by each
/// place once before it comes by one again.
#[derive(Debug, Clone)]
struct Walk {
    at: u32,
    step: u32,
    size: u32,
}

impl Maglev {
    /// The table of these members.
    pub(super) fn new(members: &[Member]) -> Self {
        let marks: Box<[u64]> = members
            .iter()
            .map(|member| key_hash(member.address.to_string().as_bytes()))
            .collect();
        if members.is_empty() {
            return Self::default();
        }
        let size = if members.len() <= MAGLEV_MEMBERS_FEW {
            MAGLEV_PLACES_FEW
        } else {
            MAGLEV_PLACES_MANY
        };
        Self {
            places: fill(members, &marks, size),
            marks,
        }
    }

    /// The members this key leads to, the first choice first; endless, and a member comes many
    /// times. Nobody in an empty pool.
    pub fn walk(&self, key: u64) -> impl Iterator<Item = usize> + '_ {
        let size = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        Walk::new(key, size.max(2))
            .map_while(|place| self.places.get(place as usize))
            .map(|&member| usize::from(member))
    }

    /// A number that belongs to this member and to no other, the same on every machine.
    pub fn mark(&self, member: usize) -> u64 {
        self.marks[member]
    }
}

/// The hash of a key: the same on every machine and in every version, so that two Ringways agree without talking.
/// Its secret is in the source, so it keeps nobody from choosing keys that meet; the load bound of a pool does.
pub fn key_hash(bytes: &[u8]) -> u64 {
    SipHasher13::new_with_keys(0x52_69_6E_67_77_61_79_20, 0x62_61_6C_61_6E_63_65_73).hash(bytes)
}

/// Deals out the places. All take one a round; a lighter one sits out as many rounds as it is lighter than the
/// heaviest.
fn fill(members: &[Member], marks: &[u64], size: u32) -> Box<[u16]> {
    let heaviest = members.iter().map(|member| u64::from(member.weight.get()));
    let heaviest = heaviest.max().unwrap_or(1);
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_unstable_by_key(|&member| (marks[member], members[member].address));
    let mut walks: Vec<_> = order
        .iter()
        .map(|&member| Walk::new(marks[member], size))
        .collect();
    let mut taken = vec![0_u64; order.len()];
    let mut due: BinaryHeap<_> = (0..order.len()).map(|rank| Reverse((1, rank))).collect();
    let mut places = vec![FREE; size as usize];
    for _ in 0..size {
        let Some(Reverse((_, rank))) = due.pop() else {
            break;
        };
        let member = order[rank];
        let free = walks[rank].find(|&place| places[place as usize] == FREE);
        let place = free.expect("invariant: fewer places are taken than there are");
        places[place as usize] = u16::try_from(member).expect("invariant: ids are 16 bits");
        taken[rank] += 1;
        let weight = u64::from(members[member].weight.get());
        due.push(Reverse(((taken[rank] * heaviest).div_ceil(weight), rank)));
    }
    places.into()
}

/// No member: a pool has a quarter as many at most.
const FREE: u16 = u16::MAX;
const _: () = assert!(crate::limits::BACKENDS_MAX < FREE as usize);

impl Walk {
    fn new(seed: u64, size: u32) -> Self {
        let mut draw = Rng::seeded(seed);
        Self {
            at: draw.below(size),
            step: 1 + draw.below(size - 1),
            size,
        }
    }
}

impl Iterator for Walk {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let at = self.at;
        let next = at + self.step;
        // A step is below the size, so one subtraction is enough.
        self.at = if next >= self.size {
            next - self.size
        } else {
            next
        };
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::fleet::{BackendId, Weight};

    fn members(ports: impl IntoIterator<Item = u16>, weight: impl Fn(u16) -> u16) -> Vec<Member> {
        let member = |(id, port)| {
            let address = SocketAddr::from(([10, 0, 0, 1], port));
            Member::new(BackendId(id), address, Weight::new(weight(port)).unwrap())
        };
        (0..).zip(ports).map(member).collect()
    }

    /// The places of each member.
    fn shares(table: &Maglev, members: usize) -> Vec<f64> {
        let mut shares = vec![0.0; members];
        for &member in &table.places {
            shares[usize::from(member)] += 1.0;
        }
        shares
    }

    /// The port each of many keys leads to first.
    fn ports(members: &[Member], keys: u64) -> Vec<u16> {
        let table = Maglev::new(members);
        let first = |key: u64| table.walk(key_hash(&key.to_le_bytes())).next().unwrap();
        (0..keys)
            .map(|key| members[first(key)].address.port())
            .collect()
    }

    #[test]
    fn the_hash_of_a_key_never_changes() {
        assert_eq!(key_hash(b""), 3_817_621_343_878_628_544);
        assert_eq!(key_hash(b"room/17"), 5_196_726_773_502_045_733);
    }

    #[test]
    fn each_of_a_thousand_has_its_share_within_five_percent() {
        for count in [1, 2, 10, 655, 656, 1_000] {
            let table = Maglev::new(&members(1..=count, |_| 1));
            let mean = f64::from(u32::try_from(table.places.len()).unwrap()) / f64::from(count);
            for share in shares(&table, count.into()) {
                assert!((share / mean - 1.0).abs() <= 0.05, "{share} of {mean}");
            }
        }
    }

    #[test]
    fn the_largest_pool_is_dealt_out_too() {
        let table = Maglev::new(&members(1..=16_384, |_| 1));
        let shares = shares(&table, 16_384);
        assert!(shares.iter().all(|&share| (39.0..=41.0).contains(&share)));
    }

    #[test]
    fn twice_the_weight_is_twice_the_share() {
        let members = members(1..=50, |port| 1 + port % 5 * 10);
        let table = Maglev::new(&members);
        let sum: f64 = members
            .iter()
            .map(|member| f64::from(member.weight.get()))
            .sum();
        for (member, share) in members.iter().zip(shares(&table, 50)) {
            let due = 65_537.0 * f64::from(member.weight.get()) / sum;
            assert!((share - due).abs() <= 2.0, "{share} of {due}");
        }
    }

    #[test]
    fn the_order_of_the_file_changes_nothing() {
        let weight = |port| 1 + port % 3;
        let forth = ports(&members(1..=20, weight), 5_000);
        let back = ports(&members((1..=20).rev(), weight), 5_000);
        assert_eq!(forth, back);
    }

    #[test]
    fn one_of_ten_leaves_and_at_most_twelve_percent_of_the_keys_move() {
        let before = ports(&members(1..=10, |_| 1), 20_000);
        for gone in 1..=10 {
            let stay = members((1..=10).filter(|&port| port != gone), |_| 1);
            let after = ports(&stay, 20_000);
            let moved = before.iter().zip(&after).filter(|(old, new)| old != new);
            let moved = moved.count();
            assert!(moved <= 2_400, "{moved} of 20000 moved without {gone}");
        }
    }
}
