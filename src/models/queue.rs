//! A queue for costly work, such as hashing a password.
//!
//! So much of it is done at once, clients take turns, and the wait is short: a client that would have to
//! wait for long is refused at once. A client that hangs up leaves the queue, and its work never begins.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::spawn_blocking};

use super::{Error, Result};

/// How long a turn is taken to last at first, and at least: turns that end at once must not let the
/// queue grow without an end.
const SHORTEST_TURN: Duration = Duration::from_millis(20);

/// The queue in which passwords are hashed and judged.
///
/// Each hash takes 19 MiB and a core for some 20 ms: more of them at once than there are cores would only
/// take more memory, not less time. A client has one turn at a time, so that the outcome of a guess is
/// known before the next one begins.
pub fn hashing() -> &'static Arc<Queue> {
    static HASHING: LazyLock<Arc<Queue>> =
        LazyLock::new(|| Queue::new(cores(), 1, Duration::from_secs(3)));
    &HASHING
}

/// The queue in which lists are searched.
///
/// Each search reads every row. Half of the cores are left to everything else. One client may have all the
/// turns there are: an account may be a shop's front, which searches for all of its visitors.
pub fn searching() -> &'static Arc<Queue> {
    static SEARCHING: LazyLock<Arc<Queue>> = LazyLock::new(|| {
        let places = (cores() / 2).max(1);
        Queue::new(places, places, Duration::from_secs(5))
    });
    &SEARCHING
}

/// The turn of a list that is searched for a text. Any other list is read through its index, and does
/// not wait.
///
/// # Errors
/// [`Error::Busy`].
pub async fn turn_to_search(text: Option<&str>, client: Client) -> Result<Option<Turn>> {
    match text {
        Some(_) => searching().turn(client).await.map(Some),
        None => Ok(None),
    }
}

fn cores() -> usize {
    available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Who asks for costly work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// A task, or the server while it starts.
    System,
    /// The account behind a valid token, by its id.
    Account(i64),
    /// The program behind a valid key, by the key's id.
    ApiKey(i64),
    /// The clients in a network.
    Network(IpAddr),
}

impl Client {
    /// The client at that address. Of an IPv6 address the first 48 bits count: the largest network
    /// that one site is given (RFC 6177, section 2).
    pub const fn at(address: IpAddr) -> Self {
        match address {
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 80 << 80;
                Self::Network(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
            IpAddr::V4(_) => Self::Network(address),
        }
    }
}

/// A queue. Clients take turns, however much each of them asks for.
#[derive(Debug)]
pub struct Queue {
    places: usize,
    places_of_one: usize,
    longest_wait: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whose turn it is.
    at_work: Vec<Client>,
    /// Who waits, in the order of their next turns. No line is empty.
    lines: VecDeque<Line>,
    /// How long a turn takes.
    average: Duration,
}

/// What one client waits for.
#[derive(Debug)]
struct Line {
    client: Client,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A turn, which is over when the last copy of it is dropped.
#[derive(Clone, Debug)]
pub struct Turn {
    _place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    queue: Arc<Queue>,
    client: Client,
    since: Instant,
}

impl Queue {
    /// A queue with so many turns at once, so many of them one client's, in which no client waits for much
    /// longer than `longest_wait`.
    pub fn new(places: usize, places_of_one: usize, longest_wait: Duration) -> Arc<Self> {
        Arc::new(Self {
            places,
            places_of_one,
            longest_wait,
            state: Mutex::new(State {
                at_work: Vec::new(),
                lines: VecDeque::new(),
                average: SHORTEST_TURN,
            }),
        })
    }

    /// Waits for the client's turn. Who stops waiting leaves the queue.
    ///
    /// # Errors
    /// [`Error::Busy`], at once, when there is too much work before it.
    pub async fn turn(self: &Arc<Self>, client: Client) -> Result<Turn> {
        let (waiter, turn) = oneshot::channel();
        self.join(client, waiter)?;
        self.advance();
        // The queue drops no waiter that is still there.
        Ok(turn.await.map_err(loco_rs::Error::wrap)?)
    }

    /// How much is done at this moment, and how much waits for its turn.
    pub fn load(&self) -> (usize, usize) {
        let mut state = self.state();
        state.forget_those_who_left();
        let waiting = state.lines.iter().map(|line| line.waiting.len()).sum();
        (state.at_work.len(), waiting)
    }

    fn join(&self, client: Client, waiter: oneshot::Sender<Turn>) -> Result<()> {
        let mut state = self.state();
        state.forget_those_who_left();
        let wait = self.wait(&state, client);
        if wait > self.longest_wait {
            return Err(Error::Busy(wait));
        }
        match state.lines.iter_mut().find(|line| line.client == client) {
            Some(line) => line.waiting.push_back(waiter),
            None => state.lines.push_back(Line {
                client,
                waiting: [waiter].into(),
            }),
        }
        drop(state);
        Ok(())
    }

    /// How long the client's next work will have to wait: for the client's own, and for as much of
    /// everybody else's.
    fn wait(&self, state: &State, client: Client) -> Duration {
        let line = state.lines.iter().find(|line| line.client == client);
        let own = line.map_or(0, |line| line.waiting.len());
        let others = state.lines.iter().filter(|line| line.client != client);
        let others: usize = others.map(|line| line.waiting.len().min(own + 1)).sum();
        let rounds = ((state.at_work.len() + own + others) / self.places)
            .max((state.turns_of(client) + own) / self.places_of_one);
        state.average * u32::try_from(rounds).unwrap_or(u32::MAX)
    }

    /// Gives the free places to those who are next.
    fn advance(self: &Arc<Self>) {
        while let Some((client, waiter)) = self.next() {
            let place = Arc::new(Place {
                queue: Arc::clone(self),
                client,
                since: Instant::now(),
            });
            // Who leaves just now leaves the turn to the next.
            drop(waiter.send(Turn { _place: place }));
        }
    }

    fn next(&self) -> Option<(Client, oneshot::Sender<Turn>)> {
        let mut state = self.state();
        if state.at_work.len() >= self.places {
            return None;
        }
        state.forget_those_who_left();
        let may_work = |line: &Line| state.turns_of(line.client) < self.places_of_one;
        let at = state.lines.iter().position(may_work)?;
        let mut line = state.lines.remove(at)?;
        let (client, waiter) = (line.client, line.waiting.pop_front()?);
        if !line.waiting.is_empty() {
            state.lines.push_back(line);
        }
        state.at_work.push(client);
        drop(state);
        Some((client, waiter))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn turns_of(&self, client: Client) -> usize {
        self.at_work.iter().filter(|at| **at == client).count()
    }

    fn forget_those_who_left(&mut self) {
        for line in &mut self.lines {
            line.waiting.retain(|waiter| !waiter.is_closed());
        }
        self.lines.retain(|line| !line.waiting.is_empty());
    }

    fn end(&mut self, place: &Place) {
        if let Some(at) = self.at_work.iter().position(|at| *at == place.client) {
            self.at_work.swap_remove(at);
        }
        self.average = ((self.average * 7 + place.since.elapsed()) / 8).max(SHORTEST_TURN);
    }
}

impl Turn {
    /// Does the work, off the async threads. Once begun it goes on to its end, and so does the turn,
    /// though its client may have gone.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let turn = self.clone();
        let work = move || {
            let _turn = turn;
            work()
        };
        Ok(spawn_blocking(work).await.map_err(loco_rs::Error::wrap)?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.state().end(self);
        self.queue.advance();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{FutureExt, future::join_all};

    use super::*;

    const ADA: Client = Client::Account(1);
    const BOB: Client = Client::Account(2);
    const A_WHILE: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn no_more_work_is_done_at_once_than_there_are_places() {
        let queue = Queue::new(2, 2, A_WHILE);
        let first = queue.turn(ADA).await.unwrap();
        let _second = queue.turn(ADA).await.unwrap();
        let mut third = pin!(queue.turn(BOB));
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        assert!(third.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_client_has_no_more_turns_at_once_than_it_may() {
        let queue = Queue::new(2, 1, A_WHILE);
        let first = queue.turn(ADA).await.unwrap();
        let mut second = pin!(queue.turn(ADA));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(queue.turn(BOB).now_or_never().is_some(), "a place is free");
        drop(first);
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test]
    async fn clients_take_turns_however_much_one_of_them_asks_for() {
        let queue = Queue::new(1, 1, A_WHILE);
        let order = Mutex::new(Vec::new());
        let running = queue.turn(ADA).await.unwrap();
        let ask = |client, name| {
            let (queue, order) = (&queue, &order);
            async move {
                let _turn = queue.turn(client).await.unwrap();
                order.lock().unwrap().push(name);
            }
        };
        let flood = (0..3).map(|_| ask(ADA, "ada").boxed_local());
        let asked = flood.chain((0..2).map(|_| ask(BOB, "bob").boxed_local()));
        let mut all = pin!(join_all(asked));
        assert!(all.as_mut().now_or_never().is_none());
        drop(running);
        all.await;
        assert_eq!(*order.lock().unwrap(), ["ada", "bob", "ada", "bob", "ada"]);
    }

    #[tokio::test]
    async fn a_client_that_would_wait_too_long_is_refused_at_once_and_no_other() {
        let queue = Queue::new(1, 1, SHORTEST_TURN * 3);
        let _running = queue.turn(ADA).await.unwrap();
        let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(queue.turn(ADA))).collect();
        let outcomes = waiting.iter_mut().map(|turn| turn.as_mut().now_or_never());
        let refused = outcomes.map(|outcome| matches!(outcome, Some(Err(_))));
        assert!(refused.eq([false, false, false, true]));
        let refusal = queue.turn(ADA).await.unwrap_err();
        assert!(matches!(refusal, Error::Busy(wait) if wait == SHORTEST_TURN * 4));
        let bob = queue.turn(BOB).now_or_never();
        assert!(bob.is_none(), "bob waits for one turn of ada's");
    }

    #[tokio::test]
    async fn a_client_that_leaves_has_no_turn_and_makes_no_other_wait() {
        let queue = Queue::new(1, 1, SHORTEST_TURN);
        let running = queue.turn(ADA).await.unwrap();
        for _ in 0..1_000 {
            assert!(queue.turn(ADA).now_or_never().is_none());
        }
        let mut last = pin!(queue.turn(ADA));
        assert!(last.as_mut().now_or_never().is_none(), "it is refused");
        drop(running);
        assert!(last.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_turn_that_is_not_taken_goes_on_to_the_next() {
        let queue = Queue::new(1, 1, A_WHILE);
        let running = queue.turn(ADA).await.unwrap();
        let mut left = Box::pin(queue.turn(ADA));
        let mut next = pin!(queue.turn(BOB));
        assert!(left.as_mut().now_or_never().is_none());
        assert!(next.as_mut().now_or_never().is_none());
        drop(running);
        // It has been given the turn and has not seen it yet.
        drop(left);
        assert!(next.now_or_never().is_some());
    }

    #[tokio::test]
    async fn work_that_has_begun_keeps_its_place_though_its_client_left() {
        let queue = Queue::new(1, 1, A_WHILE);
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let turn = queue.turn(ADA).await.unwrap();
        let mut work = Box::pin(turn.work(move || finished.recv()));
        assert!(work.as_mut().now_or_never().is_none());
        drop(work);
        drop(turn);
        let mut next = pin!(queue.turn(BOB));
        assert!(next.as_mut().now_or_never().is_none());
        finish.send(()).unwrap();
        next.await.unwrap();
    }

    #[tokio::test]
    async fn the_wait_is_reckoned_by_how_long_turns_take() {
        let queue = Queue::new(1, 1, A_WHILE);
        queue.state().average = Duration::from_secs(40);
        let _running = queue.turn(ADA).await.unwrap();
        let mut waiting = pin!(queue.turn(ADA));
        assert!(waiting.as_mut().now_or_never().is_none());
        let refusal = queue.turn(ADA).await.unwrap_err();
        assert!(matches!(refusal, Error::Busy(wait) if wait == Duration::from_secs(80)));
    }

    #[test]
    fn a_site_is_one_client_whatever_its_addresses() {
        let client = |address: &str| Client::at(address.parse().unwrap());
        assert_eq!(client("2001:db8:1::1"), client("2001:db8:1:ffff::9"));
        assert_ne!(client("2001:db8:1::1"), client("2001:db8:2::1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }
}
