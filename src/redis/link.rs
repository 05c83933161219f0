//! A connection to Redis, or to all nodes of a Redis Cluster: commands in, answers and
//! what is published out. It is made anew where it fails: what has to be done then, its
//! user knows. Knows no room.
//!
//! The crate's `ConnectionManager` would connect and subscribe again by itself; but what
//! was missed in between has to be asked for between the two and what comes next, so the
//! moment of each new connection has to be known.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo, Pipeline,
    ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, RedisResult,
    TlsCertificates, Value,
};
use futures_util::future::try_join_all;
use tokio::sync::mpsc::UnboundedSender;

use super::script::Script;
use crate::config::Redis;

/// How long a connection may take to be there.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// How much may have been published that was not looked at yet: beyond it the
/// connection counts as lost, and what was missed is asked for.
pub(super) const PUSHES_MOST: usize = 65_536;

/// Something that came without being asked for.
pub(super) enum Push {
    /// Published in a channel.
    Message { channel: Vec<u8>, message: Vec<u8> },
    /// The connection is gone.
    Lost,
}

/// Where pushes go, each with the number of the connection that it is from.
#[derive(Clone)]
pub(super) struct Pushes {
    pub(super) sender: UnboundedSender<(u64, Push)>,
    /// How many were not looked at yet.
    pub(super) waiting: Arc<AtomicUsize>,
}

/// What is asked, of a room where it is of one.
pub(super) struct Ask {
    /// The channel of the room: all that is asked of it is in one slot.
    pub(super) channel: String,
    pub(super) what: Asked,
}

pub(super) enum Asked {
    Command(Cmd),
    Subscribe,
    Unsubscribe,
}

#[derive(Clone)]
pub(super) enum Link {
    One(MultiplexedConnection),
    Many(ClusterConnection),
}

impl Link {
    /// Connects, and loads the scripts.
    pub(super) async fn open(settings: &Redis, number: u64, pushes: Pushes) -> RedisResult<Self> {
        let link = if settings.cluster {
            Self::open_cluster(settings, number, pushes).await?
        } else {
            Self::open_one(settings, number, pushes).await?
        };
        // All at once: over a slow link each would take its time.
        try_join_all(Script::ALL.map(|script| link.clone().load(script))).await?;
        Ok(link)
    }

    async fn open_one(settings: &Redis, number: u64, pushes: Pushes) -> RedisResult<Self> {
        let address = addresses(settings).next().ok_or_else(nowhere)?;
        let mut user = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(settings.database.into());
        if let Some(name) = &settings.user {
            user = user.set_username(name);
        }
        if let Some(password) = &settings.password {
            user = user.set_password(password.reveal());
        }
        let info = address.into_connection_info()?.set_redis_settings(user);
        let client = match certificates(settings)? {
            Some(certificates) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_LIMIT))
            // What has no answer is noticed elsewhere.
            .set_response_timeout(None)
            .set_push_sender(move |push| pushes.take(number, push));
        let connect = client.get_multiplexed_async_connection_with_config(&config);
        Ok(Self::One(connect.await?))
    }

    async fn open_cluster(settings: &Redis, number: u64, pushes: Pushes) -> RedisResult<Self> {
        let mut builder = ClusterClientBuilder::new(addresses(settings))
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(CONNECT_LIMIT)
            .push_sender(move |push| pushes.take(number, push));
        if let Some(name) = &settings.user {
            builder = builder.username(name);
        }
        if let Some(password) = &settings.password {
            builder = builder.password(password.reveal());
        }
        if let Some(certificates) = certificates(settings)? {
            builder = builder.certs(certificates);
        }
        let connection = builder.build()?.get_async_connection().await?;
        Ok(Self::Many(connection))
    }

    /// Asks all of this in its order, as far as it is of one room; gives the answers in
    /// the same order, those that are refusals too.
    pub(super) async fn ask(self, asks: Vec<Ask>) -> RedisResult<Vec<Value>> {
        match self {
            Self::One(connection) => ask_one(connection, &asks).await,
            Self::Many(connection) => ask_many(connection, asks).await,
        }
    }

    async fn load(mut self, script: Script) -> RedisResult<Value> {
        let mut load = ::redis::cmd("SCRIPT");
        load.arg("LOAD").arg(script.text());
        let answer = match &mut self {
            Self::One(connection) => connection.req_packed_command(&load).await,
            Self::Many(connection) => connection.req_packed_command(&load).await,
        };
        answer?.extract_error()
    }
}

async fn ask_one(mut connection: MultiplexedConnection, asks: &[Ask]) -> RedisResult<Vec<Value>> {
    let mut pipeline = Pipeline::with_capacity(asks.len());
    for ask in asks {
        match &ask.what {
            Asked::Command(command) => pipeline.add_command(command.clone()),
            Asked::Subscribe => pipeline.cmd("SSUBSCRIBE").arg(&ask.channel),
            Asked::Unsubscribe => pipeline.cmd("SUNSUBSCRIBE").arg(&ask.channel),
        };
    }
    let answers = connection.req_packed_commands(&pipeline, 0, asks.len());
    answers.await
}

/// Rooms are in different slots: each is asked for itself, all at once.
async fn ask_many(connection: ClusterConnection, asks: Vec<Ask>) -> RedisResult<Vec<Value>> {
    let count = asks.len();
    let mut rooms: Vec<(String, Vec<(usize, Asked)>)> = Vec::new();
    for (at, ask) in asks.into_iter().enumerate() {
        match rooms
            .iter_mut()
            .find(|(channel, _)| *channel == ask.channel)
        {
            Some((_, of_room)) => of_room.push((at, ask.what)),
            None => rooms.push((ask.channel, vec![(at, ask.what)])),
        }
    }
    let rooms = rooms.into_iter().map(|(channel, of_room)| {
        let mut connection = connection.clone();
        async move {
            let mut answers = Vec::with_capacity(of_room.len());
            for (at, asked) in of_room {
                let answer = match asked {
                    Asked::Command(command) => connection.req_packed_command(&command).await,
                    Asked::Subscribe => connection.ssubscribe(&channel).await.map(|()| Value::Okay),
                    Asked::Unsubscribe => connection
                        .sunsubscribe(&channel)
                        .await
                        .map(|()| Value::Okay),
                };
                answers.push((at, refusal_or(answer)?));
            }
            Ok::<_, RedisError>(answers)
        }
    });
    let mut all = vec![Value::Nil; count];
    for (at, answer) in try_join_all(rooms).await?.into_iter().flatten() {
        all[at] = answer;
    }
    Ok(all)
}

/// What a server has refused is an answer as well.
fn refusal_or(answer: RedisResult<Value>) -> RedisResult<Value> {
    match answer {
        Err(error) => match ::redis::ServerError::try_from(error) {
            Ok(refusal) => Ok(Value::ServerError(refusal)),
            Err(error) => Err(error),
        },
        answer => answer,
    }
}

impl Pushes {
    fn take(&self, number: u64, push: PushInfo) -> Result<(), ()> {
        let push = match push.kind {
            PushKind::Disconnection => Push::Lost,
            PushKind::SMessage => match <[Value; 2]>::try_from(push.data) {
                Ok([Value::BulkString(channel), Value::BulkString(message)]) => {
                    Push::Message { channel, message }
                }
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        if before > PUSHES_MOST {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Ok(());
        }
        let push = if before == PUSHES_MOST {
            Push::Lost
        } else {
            push
        };
        self.sender.send((number, push)).map_err(drop)
    }
}

fn addresses(settings: &Redis) -> impl Iterator<Item = ConnectionAddr> {
    settings.servers.iter().map(|(host, port)| {
        let (host, port) = (host.clone(), *port);
        match settings.tls {
            false => ConnectionAddr::Tcp(host, port),
            true => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
        }
    })
}

fn certificates(settings: &Redis) -> RedisResult<Option<TlsCertificates>> {
    let Some(path) = settings.ca.as_ref().filter(|_| settings.tls) else {
        return Ok(None);
    };
    let root = fs::read(path).map_err(|error| {
        let why = format!("{}: {error}", path.display());
        RedisError::from((
            ErrorKind::InvalidClientConfig,
            "--redis-ca can't be read",
            why,
        ))
    })?;
    Ok(Some(TlsCertificates {
        client_tls: None,
        root_cert: Some(root),
    }))
}

fn nowhere() -> RedisError {
    (ErrorKind::InvalidClientConfig, "no server is named").into()
}
