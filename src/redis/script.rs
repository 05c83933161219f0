//! The scripts that Redis runs: each does in one step, and one round trip, what must not
//! come apart. Knows their texts, not what they are asked.

use std::sync::LazyLock;

use ::redis::Cmd;

use super::keys::add_keys;

/// What each of them begins with.
const ROOM: &str = include_str!("script/room.lua");

/// A script, by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Publish,
    Tell,
    Enter,
    Exit,
    Renew,
    Refresh,
    Clients,
    Sync,
    Seed,
    Create,
    Delete,
    Ask,
}

/// A script's text, and by what Redis knows it.
struct Loaded {
    text: String,
    hash: String,
}

static LOADED: LazyLock<Vec<Loaded>> = LazyLock::new(|| {
    let load = |script: &Script| {
        let text = format!("{ROOM}\n{}", script.source());
        let hash = ::redis::Script::new(&text).get_hash().to_owned();
        Loaded { text, hash }
    };
    Script::ALL.iter().map(load).collect()
});

impl Script {
    pub(super) const ALL: [Self; 12] = [
        Self::Publish,
        Self::Tell,
        Self::Enter,
        Self::Exit,
        Self::Renew,
        Self::Refresh,
        Self::Clients,
        Self::Sync,
        Self::Seed,
        Self::Create,
        Self::Delete,
        Self::Ask,
    ];

    /// All of it, for Redis to load.
    pub(super) fn text(self) -> &'static str {
        &LOADED[self as usize].text
    }

    /// Runs it for a room; more keys, then its arguments, are to be added.
    pub(super) fn call(self, channel: &str, more_keys: &[String]) -> Cmd {
        let mut command = ::redis::cmd("EVALSHA");
        command.arg(&LOADED[self as usize].hash);
        command.arg(5 + more_keys.len());
        add_keys(&mut command, channel);
        command.arg(more_keys);
        command
    }

    fn source(self) -> &'static str {
        match self {
            Self::Publish => include_str!("script/publish.lua"),
            Self::Tell => include_str!("script/tell.lua"),
            Self::Enter => include_str!("script/enter.lua"),
            Self::Exit => include_str!("script/exit.lua"),
            Self::Renew => include_str!("script/renew.lua"),
            Self::Refresh => include_str!("script/refresh.lua"),
            Self::Clients => include_str!("script/clients.lua"),
            Self::Sync => include_str!("script/sync.lua"),
            Self::Seed => include_str!("script/seed.lua"),
            Self::Create => include_str!("script/create.lua"),
            Self::Delete => include_str!("script/delete.lua"),
            Self::Ask => include_str!("script/ask.lua"),
        }
    }
}
