//! Pages of the list of clients in a room. Knows no room.

use super::name::Nickname;

/// Most names on a page.
const NAMES_MOST: usize = 1_000;

/// Most bytes of names on a page: the answer must fit into what may wait for a client. A page of
/// 1,000 names of 64 four-byte characters, the longest by default, has exactly as many.
const NAME_BYTES_MOST: usize = 256_000;

/// An answer with a page counts as one event per this many names, rounded up.
const NAMES_PER_EVENT: usize = 50;

/// The requested page of the clients in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    limit: usize,
    /// The cursor: the page begins behind the client with this number. Numbers ascend in the
    /// order in which clients connect or join.
    pub after: u64,
}

impl Clients {
    /// The number of events that the page counts as.
    pub(super) fn cost(&self) -> u32 {
        u32::try_from(self.names.len().div_ceil(NAMES_PER_EVENT)).unwrap_or(u32::MAX)
    }
}

impl Default for Page {
    /// The first page.
    fn default() -> Self {
        Self::new(None, None)
    }
}

impl Page {
    /// A page of up to `limit` names that begins behind the cursor `after`; without a cursor,
    /// the first page.
    pub fn new(limit: Option<usize>, after: Option<u64>) -> Self {
        Self {
            limit: limit.unwrap_or(NAMES_MOST).clamp(1, NAMES_MOST),
            after: after.unwrap_or_default(),
        }
    }

    /// Most names on the page.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Makes the page from clients in ascending order, each with its number. The caller passes
    /// one client more than the page holds if there is another page.
    pub fn of(
        &self,
        clients: impl IntoIterator<Item = (u64, Option<Nickname>)>,
        total: usize,
    ) -> Clients {
        let (mut names, mut bytes, mut last) = (Vec::new(), 0, None);
        for (shown, (number, name)) in clients.into_iter().enumerate() {
            bytes += name.as_ref().map_or(0, |name| name.as_str().len());
            let is_full = shown == self.limit || bytes > NAME_BYTES_MOST;
            if is_full && last.is_some() {
                return Clients {
                    names,
                    total,
                    next: last,
                };
            }
            names.extend(name);
            last = Some(number);
        }
        Clients {
            names,
            total,
            next: None,
        }
    }
}

/// A page of the clients in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Their names, in ascending order of their numbers.
    pub names: Vec<Nickname>,
    /// How many clients are in the room.
    pub total: usize,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_the_next_one_begins() {
        let clients = || (1..=5).map(|n| (n * 10, Nickname::parse(&format!("c{n}")).ok()));
        // limit -> names, next
        for (limit, names, next) in [
            (Some(0), 1, Some(10)),
            (Some(4), 4, Some(40)),
            (Some(5), 5, None),
            (None, 5, None),
            (Some(usize::MAX), 5, None),
        ] {
            let page = Page::new(limit, None).of(clients(), 5);
            assert_eq!((page.names.len(), page.next), (names, next), "{limit:?}");
        }
        // As many long names as fit: 250 of 256 four-byte characters.
        let long = Nickname::parse(&"𝄞".repeat(Nickname::MOST_CHARS)).unwrap();
        let clients = (1..=600).map(|n| (n, Some(long.clone())));
        let page = Page::new(Some(1_000), None).of(clients, 600);
        assert_eq!((page.names.len(), page.next), (250, Some(250)));
    }
}
