//! Everything breaks at random while orders race: servers, the database and Redis are killed, stopped and
//! frozen, connections are cut, locks are held, the disk is full. Meanwhile each answer is written down;
//! afterwards the database is asked what is there.
//!
//! `CHAOS_SECONDS` says for how long, or `CHAOS_KILLS` until how many kills; `CHAOS_SEED` repeats the
//! choices of a run, though not its timing.

#![allow(
    clippy::significant_drop_tightening,
    reason = "what is written in the book belongs together"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::http::{Method, StatusCode};
use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement, TransactionTrait};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::support::{
    Answer, Cut, Lost, Program, Proxy, Server, Service, Shop, SmallDisk, TestDatabase,
    assert_invariants, order_lines, request_at,
};

/// For how long everything breaks, unless the environment says otherwise.
const SECONDS: u64 = 10;

/// How long an episode is: then everything is mended, and the database is asked.
const EPISODE: Duration = Duration::from_secs(5);

/// How long a client waits for an answer, and how long anything may take to mend.
const PATIENCE: Duration = Duration::from_secs(10);
const MENDED_WITHIN: Duration = Duration::from_mins(1);

/// How many clients there are, each with a product of its own to rename.
const CLIENTS: usize = 6;

/// How many answers of an episode are asked for once more.
const LOOKED_AT: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_the_acknowledged_is_there_once_and_the_refused_is_not() {
    let wanted = |name: &str| Some(std::env::var(name).ok()?.parse::<u64>().unwrap());
    let seed = wanted("CHAOS_SEED").unwrap_or_else(|| rand::rng().random());
    let seconds = Duration::from_secs(wanted("CHAOS_SECONDS").unwrap_or(SECONDS));
    let kills = wanted("CHAOS_KILLS");
    println!("CHAOS_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let stage = Arc::new(Stage::open().await);
    let begun = Instant::now();
    for episode in 0.. {
        let over = match kills {
            Some(kills) => stage.kills() >= kills,
            None => begun.elapsed() >= seconds,
        };
        if over || !stage.faults().is_empty() {
            break;
        }
        stage.play(episode, rng.random()).await;
        stage.settle(&mut rng).await;
        stage.audit().await;
        stage.look_again(&mut rng).await;
        println!("episode {episode}: {} kills", stage.kills());
    }
    // What was refused is not done later either, nor by a server that starts.
    for node in &stage.nodes {
        node.stop().await;
        node.start().await;
    }
    sleep(Duration::from_secs(2)).await;
    stage.audit().await;
    stage.print();
    let faults = stage.faults();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(stage.kills() > 0, "nothing was killed");
}

/// What is known of a write. What says more comes later: one answer of several is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// It was not done and will not be.
    Refused,
    /// It was done, or it was not.
    Unknown,
    /// It was done.
    Acknowledged,
}

/// A request to change something.
#[derive(Clone)]
struct Ask {
    method: Method,
    path: String,
    token: Arc<str>,
    /// What finds it in the database, and its `Idempotency-Key` if it has one.
    tag: String,
    has_key: bool,
    body: Value,
}

/// What has come of a request.
struct Write {
    ask: Ask,
    verdict: Verdict,
    /// What was acknowledged.
    answer: Value,
    episode: u64,
}

/// The names that a product may have.
#[derive(Default)]
struct Names {
    acknowledged: String,
    unknown: BTreeSet<String>,
}

/// Everything that was seen.
#[derive(Default)]
struct Book {
    episode: u64,
    writes: BTreeMap<String, Write>,
    /// What has to be shown at a path, and to whom.
    shown: BTreeMap<String, (Arc<str>, Value)>,
    names: BTreeMap<i64, Names>,
    figures: BTreeMap<String, u64>,
    faults: Vec<String>,
}

/// A server, which is started again whenever it has ended.
struct Node {
    database: String,
    redis: Option<String>,
    port: AtomicU16,
    server: tokio::sync::Mutex<Option<Server>>,
}

impl Node {
    async fn start(&self) {
        let mut server = self.server.lock().await;
        let deadline = Instant::now() + MENDED_WITHIN;
        while server.is_none() {
            let mut program = Program::new("test")
                .on(&self.database)
                .env("DB_CONNECT_TIMEOUT", "1000")
                .env("REQUEST_TIMEOUT", "2000");
            if let Some(redis) = &self.redis {
                program = program.env("REDIS_URL", redis);
            }
            // It may end while the database is away, as a supervisor's would.
            match Server::try_start(program).await {
                Ok(started) => {
                    self.port.store(started.port, Ordering::SeqCst);
                    *server = Some(started);
                }
                Err(outcome) => assert!(Instant::now() < deadline, "no start: {outcome:?}"),
            }
        }
    }

    async fn kill(&self) {
        self.server.lock().await.take().unwrap().kill();
    }

    async fn freeze(&self, time: Duration) {
        let server = self.server.lock().await;
        let server = server.as_ref().unwrap();
        server.freeze();
        sleep(time).await;
        server.thaw();
    }

    async fn stop(&self) {
        let server = self.server.lock().await.take().unwrap();
        server.terminate();
        server.ended().await;
    }
}

/// What can be done to a shop besides ending its servers.
#[derive(Clone, Copy)]
enum Blow {
    KillDatabase,
    StopDatabase,
    FreezeDatabase,
    HoldLock,
    KillRedis,
    StopRedis,
    FreezeRedis,
    CutConnection,
    CutCommit,
    CutAll,
    FillDisk,
}

struct Stage {
    nodes: Vec<Node>,
    admin: Arc<str>,
    clients: Vec<Arc<str>>,
    /// One that there is plenty of, and one for each client to rename.
    plenty: i64,
    renamed: Vec<i64>,
    over: AtomicBool,
    book: Mutex<Book>,
    // The last to go, in this order: each stands on the next.
    shop: Shop,
    wires: Vec<Proxy>,
    redis: Option<Service>,
    database: Option<Service>,
    disk: Option<SmallDisk>,
}

impl Stage {
    /// One server on SQLite, on a disk of its own where that is allowed; on a database server of its own
    /// otherwise, and two with a Redis where there is one.
    async fn open() -> Self {
        let url = std::env::var("DATABASE_URL").unwrap_or_default();
        let (mut disk, mut database, mut redis) = (None, None, None);
        let place = match url.split(':').next() {
            Some("mysql") => database.insert(Service::mariadb().await).uri(),
            Some("postgres" | "postgresql") => database.insert(Service::postgres().await).uri(),
            _ => String::new(),
        };
        let place = if database.is_some() {
            if std::env::var("REDIS_URL").is_ok() {
                redis = Some(Service::redis().await);
            }
            TestDatabase::create_on(place).await
        } else {
            disk = SmallDisk::mount(256);
            let directory = disk
                .as_ref()
                .map_or_else(tempfile::tempdir, |disk| tempfile::tempdir_in(disk.path()));
            TestDatabase::File {
                directory: directory.unwrap(),
            }
        };
        let mut wires = Vec::new();
        let mut uri = place.uri();
        if database.is_some() {
            wires.push(Proxy::before(&uri).await);
            wires[0].uri().clone_into(&mut uri);
        }
        if let Some(redis) = &redis {
            wires.push(Proxy::before(&redis.uri()).await);
        }
        let redis_uri = wires.get(1).map(|wire| wire.uri().to_owned());

        let config = place.configuration().await;
        let shop = Shop::open_on(place, config).await;
        let admin = shop.admin().await;
        let plenty = admin.sell("Plenty", "1.00", 100_000_000).await;
        let (mut clients, mut renamed) = (Vec::new(), Vec::new());
        let mut book = Book::default();
        for number in 0..CLIENTS {
            let client = shop.customer(&format!("client-{number}")).await;
            clients.push(client.token.unwrap().into());
            let id = admin.sell("First", "1.00", None);
            renamed.push(id.await);
            let names = book.names.entry(renamed[number]).or_default();
            "First".clone_into(&mut names.acknowledged);
        }
        // Nothing but the servers holds the database open, whose next start finds it as they left it.
        shop.ctx.db.clone().close().await.unwrap();

        let node = || Node {
            database: uri.clone(),
            redis: redis_uri.clone(),
            port: AtomicU16::new(0),
            server: tokio::sync::Mutex::default(),
        };
        let nodes: Vec<_> = (0..=usize::from(redis.is_some())).map(|_| node()).collect();
        for node in &nodes {
            node.start().await;
        }
        Self {
            nodes,
            admin: admin.token.unwrap().into(),
            clients,
            plenty,
            renamed,
            over: AtomicBool::new(false),
            book: Mutex::new(book),
            shop,
            wires,
            redis,
            database,
            disk,
        }
    }

    /// Breaks things and races orders for a while, and mends everything.
    async fn play(self: &Arc<Self>, episode: u64, seed: u64) {
        self.book.lock().unwrap().episode = episode;
        self.over.store(false, Ordering::SeqCst);
        let mut actors = JoinSet::new();
        for number in 0..CLIENTS {
            let rng = StdRng::seed_from_u64(seed ^ number as u64);
            actors.spawn(Arc::clone(self).ask_and_ask(number, rng));
        }
        actors.spawn(Arc::clone(self).end_servers(StdRng::seed_from_u64(!seed)));
        actors.spawn(Arc::clone(self).strike(StdRng::seed_from_u64(!seed ^ 1)));
        sleep(EPISODE).await;
        self.over.store(true, Ordering::SeqCst);
        actors.join_all().await;
    }

    // ---- What breaks -----------------------------------------------------------------------------

    async fn end_servers(self: Arc<Self>, mut rng: StdRng) {
        while self.is_on() {
            pause(&mut rng, 200..1000).await;
            let node = self.nodes.choose(&mut rng).unwrap();
            match rng.random_range(0..6) {
                0 => {
                    self.count("server frozen");
                    node.freeze(some(&mut rng, 100..3000)).await;
                }
                1 => {
                    self.count("server stopped");
                    node.stop().await;
                }
                _ => {
                    self.count("server killed");
                    node.kill().await;
                }
            }
            node.start().await;
        }
    }

    async fn strike(self: Arc<Self>, mut rng: StdRng) {
        let mut blows = vec![Blow::HoldLock];
        if self.database.is_some() {
            blows.extend([Blow::KillDatabase, Blow::KillDatabase, Blow::StopDatabase]);
            blows.extend([Blow::FreezeDatabase, Blow::CutAll]);
            blows.extend([Blow::CutConnection, Blow::CutCommit].repeat(2));
        }
        if self.redis.is_some() {
            blows.extend([Blow::KillRedis, Blow::StopRedis, Blow::FreezeRedis]);
        }
        if self.disk.is_some() {
            blows.extend([Blow::FillDisk, Blow::FillDisk]);
        }
        while self.is_on() {
            pause(&mut rng, 50..500).await;
            let blow = *blows.choose(&mut rng).unwrap();
            self.deal(blow, &mut rng).await;
        }
    }

    async fn deal(&self, blow: Blow, rng: &mut StdRng) {
        match blow {
            Blow::KillDatabase | Blow::StopDatabase | Blow::FreezeDatabase => {
                self.end("database", self.database.as_ref(), blow, rng)
                    .await;
            }
            Blow::KillRedis | Blow::StopRedis | Blow::FreezeRedis => {
                self.end("Redis", self.redis.as_ref(), blow, rng).await;
            }
            Blow::HoldLock => {
                self.count("lock held");
                let db = self.connect().await;
                let txn = db.begin().await.unwrap();
                let lock = format!(
                    "UPDATE products SET price_minor = price_minor WHERE id = {}",
                    self.plenty
                );
                // Another may have it for longer than one waits.
                if txn.execute_unprepared(&lock).await.is_ok() {
                    pause(rng, 100..4000).await;
                }
                drop(txn.rollback().await);
                db.close().await.unwrap();
            }
            Blow::CutAll => {
                self.count("all connections cut");
                self.wires.choose(rng).unwrap().cut_all();
            }
            Blow::CutConnection | Blow::CutCommit => {
                let lost = *Lost::ALL.choose(rng).unwrap();
                let wire = match blow {
                    Blow::CutCommit => &self.wires[0],
                    _ => self.wires.choose(rng).unwrap(),
                };
                wire.cut(match blow {
                    Blow::CutCommit => Cut::Commit(lost),
                    _ => Cut::Packet(rng.random_range(1..60), lost),
                });
                pause(rng, 50..300).await;
                if wire.mend().is_some() {
                    self.count(match blow {
                        Blow::CutCommit => "commit cut",
                        _ => "connection cut",
                    });
                }
            }
            Blow::FillDisk => {
                self.count("disk filled");
                let disk = self.disk.as_ref().unwrap();
                disk.fill();
                pause(rng, 100..1500).await;
                disk.free();
            }
        }
    }

    async fn end(&self, name: &str, service: Option<&Service>, blow: Blow, rng: &mut StdRng) {
        let service = service.unwrap();
        match blow {
            Blow::FreezeDatabase | Blow::FreezeRedis => {
                self.count(&format!("{name} frozen"));
                service.freeze();
                pause(rng, 100..4000).await;
                service.thaw();
                return;
            }
            Blow::StopDatabase | Blow::StopRedis => {
                self.count(&format!("{name} stopped"));
                service.stop().await;
            }
            _ => {
                self.count(&format!("{name} killed"));
                service.kill().await;
            }
        }
        pause(rng, 0..500).await;
        service.resume().await;
    }

    // ---- What is asked meanwhile -----------------------------------------------------------------

    async fn ask_and_ask(self: Arc<Self>, number: usize, mut rng: StdRng) {
        let episode = self.book.lock().unwrap().episode;
        let mut placed = Vec::new();
        let mut turn = 0;
        while self.is_on() {
            pause(&mut rng, 5..40).await;
            turn += 1;
            let tag = format!("{episode}-{number}-{turn}");
            match rng.random_range(0..10) {
                0 => self.rename(number, tag, &mut rng).await,
                1 => self.add_product(tag, &mut rng).await,
                2 => self.adjust(tag, &mut rng).await,
                3 => self.order_last_piece(number, tag, &mut rng).await,
                4 if !placed.is_empty() => {
                    let order = placed.swap_remove(rng.random_range(0..placed.len()));
                    self.cancel(number, order, tag, &mut rng).await;
                }
                _ => placed.extend(self.order(number, tag, &mut rng).await),
            }
        }
    }

    async fn order(&self, number: usize, tag: String, rng: &mut StdRng) -> Option<i64> {
        let ask = Ask {
            method: Method::POST,
            path: "/api/v1/orders".to_owned(),
            token: Arc::clone(&self.clients[number]),
            body: json!({ "items": order_lines(&[(self.plenty, 1)]), "note": tag }),
            has_key: rng.random(),
            tag,
        };
        let twins = rng.random_ratio(1, 3);
        let order = self.write(&ask, twins, rng).await.ok()?;
        let id = order["id"].as_i64().unwrap();
        let path = format!("/api/v1/orders/{id}");
        self.shows(path, &ask.token, order, rng).await;
        Some(id)
    }

    async fn cancel(&self, number: usize, order: i64, tag: String, rng: &mut StdRng) {
        let path = format!("/api/v1/orders/{order}");
        let ask = Ask {
            method: Method::POST,
            path: format!("{path}/cancel"),
            token: Arc::clone(&self.clients[number]),
            body: json!({ "reason": tag }),
            has_key: rng.random(),
            tag,
        };
        let twins = rng.random_ratio(1, 3);
        match self.write(&ask, twins, rng).await {
            Ok(order) => self.shows(path, &ask.token, order, rng).await,
            Err(Verdict::Refused) => {}
            Err(_) => drop(self.book.lock().unwrap().shown.remove(&path)),
        }
    }

    async fn add_product(&self, tag: String, rng: &mut StdRng) {
        let ask = self.new_product(tag, None, rng.random());
        let twins = rng.random_ratio(1, 3);
        if let Ok(product) = self.write(&ask, twins, rng).await {
            let path = format!("/api/v1/products/{}", product["id"]);
            self.shows(path, &ask.token, product, rng).await;
        }
    }

    fn new_product(&self, tag: String, stock: Option<i64>, has_key: bool) -> Ask {
        Ask {
            method: Method::POST,
            path: "/api/v1/products".to_owned(),
            token: Arc::clone(&self.admin),
            body: json!({ "sku": tag, "name": tag, "price": "1.00", "stock": stock }),
            has_key,
            tag,
        }
    }

    /// The request is sent to two at once, and there is one piece.
    async fn order_last_piece(&self, number: usize, tag: String, rng: &mut StdRng) {
        let product = self.new_product(format!("{tag}-piece"), Some(1), true);
        let Ok(product) = self.write(&product, false, rng).await else {
            return;
        };
        let lines = order_lines(&[(product["id"].as_i64().unwrap(), 1)]);
        let ask = Ask {
            method: Method::POST,
            path: "/api/v1/orders".to_owned(),
            token: Arc::clone(&self.clients[number]),
            body: json!({ "items": lines, "note": tag }),
            has_key: true,
            tag,
        };
        if let Ok(order) = self.write(&ask, true, rng).await {
            let path = format!("/api/v1/orders/{}", order["id"]);
            self.shows(path, &ask.token, order, rng).await;
        }
    }

    async fn adjust(&self, tag: String, rng: &mut StdRng) {
        let ask = Ask {
            method: Method::POST,
            path: format!("/api/v1/products/{}/stock", self.plenty),
            token: Arc::clone(&self.admin),
            body: json!({ "delta": rng.random_range(1..5), "reason": tag }),
            has_key: rng.random(),
            tag,
        };
        let twins = rng.random_ratio(1, 3);
        drop(self.write(&ask, twins, rng).await);
    }

    /// Renames a product, and looks what it is called.
    async fn rename(&self, number: usize, tag: String, rng: &mut StdRng) {
        let product = self.renamed[number];
        let ask = Ask {
            method: Method::PATCH,
            path: format!("/api/v1/products/{product}"),
            token: Arc::clone(&self.admin),
            body: json!({ "name": tag }),
            has_key: false,
            tag,
        };
        let (verdict, _) = self.send(&ask, rng).await;
        self.count(&format!("rename {verdict:?}"));
        {
            let mut book = self.book.lock().unwrap();
            let names = book.names.get_mut(&product).unwrap();
            match verdict {
                Verdict::Acknowledged => names.acknowledged.clone_from(&ask.tag),
                // It may be done later, when a server thaws.
                Verdict::Unknown => drop(names.unknown.insert(ask.tag.clone())),
                Verdict::Refused => {}
            }
        }
        if let Some(shown) = self.get(&ask.path, &ask.token, rng).await {
            self.assert_name(product, shown["name"].as_str().unwrap(), "is shown");
        }
    }

    fn assert_name(&self, product: i64, name: &str, is: &str) {
        let mut book = self.book.lock().unwrap();
        let names = &book.names[&product];
        if names.acknowledged != name && !names.unknown.contains(name) {
            let acknowledged = &names.acknowledged;
            let fault =
                format!("product {product}: {name} {is}, {acknowledged} was acknowledged last");
            book.faults.push(fault);
        }
    }

    /// Sends it, to two at once if it has a key and `twins` says so, and again when its outcome is unknown
    /// and its key allows that. What was acknowledged, or what is known instead.
    async fn write(&self, ask: &Ask, twins: bool, rng: &mut StdRng) -> Result<Value, Verdict> {
        let others = usize::from(twins && ask.has_key);
        let mut rngs: Vec<_> = (0..=others)
            .map(|_| StdRng::seed_from_u64(rng.random()))
            .collect();
        let sent = rngs.iter_mut().map(|rng| self.send(ask, rng));
        let mut known = Err(Verdict::Refused);
        for (verdict, answer) in join_all(sent).await {
            known = self.note(ask, verdict, answer);
        }
        for _ in 0..2 {
            if known == Err(Verdict::Unknown) && ask.has_key && rng.random() {
                let (verdict, answer) = self.send(ask, rng).await;
                known = self.note(ask, verdict, answer);
            }
        }
        known
    }

    /// Writes down what one answer says, and tells what all say together.
    fn note(&self, ask: &Ask, verdict: Verdict, answer: Value) -> Result<Value, Verdict> {
        let mut book = self.book.lock().unwrap();
        let episode = book.episode;
        let write = book.writes.entry(ask.tag.clone()).or_insert_with(|| Write {
            ask: ask.clone(),
            verdict,
            answer: Value::Null,
            episode,
        });
        write.verdict = write.verdict.max(verdict);
        if verdict == Verdict::Acknowledged {
            if write.answer.is_null() {
                write.answer = answer;
            } else if write.answer != answer {
                let fault = format!("{}: {} and then {answer}", ask.tag, write.answer);
                book.faults.push(fault);
                return Err(Verdict::Acknowledged);
            }
        }
        match write.verdict {
            Verdict::Acknowledged => Ok(write.answer.clone()),
            verdict => Err(verdict),
        }
    }

    /// Sends it once, to one server or another.
    async fn send(&self, ask: &Ask, rng: &mut StdRng) -> (Verdict, Value) {
        let key = if ask.has_key {
            format!("Idempotency-Key: {}\r\n", ask.tag)
        } else {
            String::new()
        };
        let answer = self
            .request(
                ask.method.clone(),
                &ask.path,
                &ask.token,
                &key,
                Some(&ask.body),
                rng,
            )
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            // It was not sent.
            Err(ErrorKind::ConnectionRefused) => return (Verdict::Refused, Value::Null),
            Err(_) => return (Verdict::Unknown, Value::Null),
        };
        let problem = answer.body["type"].as_str().unwrap_or_default();
        let verdict = match (answer.status, problem) {
            (status, _) if status.is_success() => Verdict::Acknowledged,
            (StatusCode::SERVICE_UNAVAILABLE, "/problems/unavailable") => Verdict::Refused,
            (StatusCode::GATEWAY_TIMEOUT, "/problems/outcome-unknown") => Verdict::Unknown,
            // Its twin is at work.
            (StatusCode::CONFLICT, "/problems/idempotency-in-progress") if ask.has_key => {
                Verdict::Unknown
            }
            _ => {
                let Ask {
                    path, tag, has_key, ..
                } = ask;
                let fault = format!("{tag} (key: {has_key}) to {path}: {}", answer.body);
                self.book.lock().unwrap().faults.push(fault);
                Verdict::Refused
            }
        };
        (verdict, answer.body)
    }

    /// What an acknowledged answer said has to be shown from now on, by each server.
    async fn shows(&self, path: String, token: &Arc<str>, answer: Value, rng: &mut StdRng) {
        if let Some(shown) = self.get(&path, token, rng).await
            && shown != answer
        {
            self.blame(format!("{path} shows {shown} after {answer}"));
        }
        let mut book = self.book.lock().unwrap();
        book.shown.insert(path, (Arc::clone(token), answer));
    }

    /// What is shown there, if anyone can look just now.
    async fn get(&self, path: &str, token: &str, rng: &mut StdRng) -> Option<Value> {
        let answer = self
            .request(Method::GET, path, token, "", None, rng)
            .await
            .ok()?;
        match answer.status {
            StatusCode::OK => return Some(answer.body),
            StatusCode::SERVICE_UNAVAILABLE => {}
            _ => self.blame(format!("{path} shows {}", answer.body)),
        }
        None
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        token: &str,
        headers: &str,
        body: Option<&Value>,
        rng: &mut StdRng,
    ) -> Result<Answer, ErrorKind> {
        let node = self.nodes.choose(rng).unwrap();
        let port = node.port.load(Ordering::SeqCst);
        let headers = format!("Authorization: Bearer {token}\r\n{headers}");
        let what = if method == Method::GET {
            "read"
        } else {
            "write"
        };
        let request = request_at(port, method, path, &headers, body);
        let answer = timeout(PATIENCE, request)
            .await
            .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
            .map_err(|error| error.kind());
        self.count(&match &answer {
            Ok(answer) => format!("{what} {}", answer.status.as_u16()),
            Err(ErrorKind::ConnectionRefused) => format!("{what} not sent"),
            Err(_) => format!("{what} without an answer"),
        });
        answer
    }

    // ---- What has to be true ---------------------------------------------------------------------

    /// Everything is mended: each request with a key is sent again until it is answered.
    async fn settle(&self, rng: &mut StdRng) {
        let unknown: Vec<Ask> = {
            let book = self.book.lock().unwrap();
            let writes = book.writes.values();
            writes
                .filter(|write| write.ask.has_key && write.verdict == Verdict::Unknown)
                .map(|write| write.ask.clone())
                .collect()
        };
        let deadline = Instant::now() + MENDED_WITHIN;
        for ask in unknown {
            self.count("write settled by its key");
            loop {
                let (verdict, answer) = self.send(&ask, rng).await;
                match self.note(&ask, verdict, answer) {
                    Ok(_) | Err(Verdict::Acknowledged) => break,
                    Err(_) => pause(rng, 10..100).await,
                }
                if Instant::now() > deadline {
                    self.blame(format!("{} is not settled", ask.tag));
                    return;
                }
            }
        }
    }

    /// Asks the database what is there.
    async fn audit(&self) {
        let db = self.connect().await;
        let mut there = BTreeMap::<String, usize>::new();
        for query in [
            "SELECT note AS tag FROM orders",
            "SELECT sku AS tag FROM products WHERE sku IS NOT NULL",
            "SELECT reason AS tag FROM stock_movements WHERE kind = 'adjustment'",
            "SELECT reason AS tag FROM order_events WHERE status = 'cancelled'",
        ] {
            for row in rows(&db, query).await {
                *there.entry(row.try_get("", "tag").unwrap()).or_default() += 1;
            }
        }
        let names: Vec<(i64, String)> = rows(&db, "SELECT id, name FROM products")
            .await
            .iter()
            .map(|row| {
                (
                    row.try_get("", "id").unwrap(),
                    row.try_get("", "name").unwrap(),
                )
            })
            .collect();
        for (product, name) in names {
            if self.renamed.contains(&product) {
                self.assert_name(product, &name, "is there");
            }
        }
        {
            let mut book = self.book.lock().unwrap();
            let mut faults = Vec::new();
            for (tag, write) in &book.writes {
                let found = there.remove(tag).unwrap_or_default();
                let right = match write.verdict {
                    Verdict::Acknowledged => found == 1,
                    Verdict::Unknown => found <= 1,
                    Verdict::Refused => found == 0,
                };
                if !right {
                    let (verdict, path, key) = (write.verdict, &write.ask.path, write.ask.has_key);
                    faults.push(format!(
                        "{tag} (key: {key}) to {path} is {verdict:?} and there {found} times"
                    ));
                }
            }
            faults.extend(
                there
                    .keys()
                    .map(|tag| format!("{tag} is there and was not asked for")),
            );
            book.faults.extend(faults);
        }
        assert_invariants(&db).await;
        db.close().await.unwrap();
    }

    /// Every server shows what was acknowledged, and answers it again under its key.
    async fn look_again(&self, rng: &mut StdRng) {
        let (shown, asks) = {
            let mut book = self.book.lock().unwrap();
            let shown: Vec<_> = std::mem::take(&mut book.shown).into_iter().collect();
            let asks: Vec<_> = book
                .writes
                .values()
                .filter(|write| write.episode == book.episode && write.ask.has_key)
                .filter(|write| write.verdict == Verdict::Acknowledged)
                .map(|write| write.ask.clone())
                .collect();
            (shown, asks)
        };
        for (path, (token, answer)) in shown.choose_multiple(rng, LOOKED_AT).cloned() {
            self.shows(path, &token, answer, rng).await;
        }
        for ask in asks.choose_multiple(rng, LOOKED_AT) {
            let (verdict, answer) = self.send(ask, rng).await;
            drop(self.note(ask, verdict, answer));
        }
    }

    fn is_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    /// Goes around the wire.
    async fn connect(&self) -> DatabaseConnection {
        let uri = &self.shop.ctx.config.database.uri;
        Database::connect(uri).await.unwrap()
    }

    fn count(&self, what: &str) {
        let mut book = self.book.lock().unwrap();
        *book.figures.entry(what.to_owned()).or_default() += 1;
    }

    fn blame(&self, fault: String) {
        self.book.lock().unwrap().faults.push(fault);
    }

    fn faults(&self) -> Vec<String> {
        self.book.lock().unwrap().faults.clone()
    }

    fn kills(&self) -> u64 {
        let book = self.book.lock().unwrap();
        let figures = book.figures.iter();
        figures
            .filter(|(what, _)| what.ends_with(" killed"))
            .map(|(_, count)| count)
            .sum()
    }

    fn print(&self) {
        let book = self.book.lock().unwrap();
        println!(
            "{} servers, {} episodes",
            self.nodes.len(),
            book.episode + 1
        );
        for (what, count) in &book.figures {
            println!("{count:>8} {what}");
        }
        for verdict in [Verdict::Acknowledged, Verdict::Refused, Verdict::Unknown] {
            let writes = book.writes.values();
            let count = writes.filter(|write| write.verdict == verdict).count();
            println!("{count:>8} writes {verdict:?} in the end");
        }
    }
}

async fn rows(db: &DatabaseConnection, query: &str) -> Vec<sea_orm::QueryResult> {
    let query = Statement::from_string(db.get_database_backend(), query);
    db.query_all_raw(query).await.unwrap()
}

fn some(rng: &mut StdRng, milliseconds: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(milliseconds))
}

async fn pause(rng: &mut StdRng, milliseconds: std::ops::Range<u64>) {
    sleep(some(rng, milliseconds)).await;
}
