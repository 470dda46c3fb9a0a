//! Greets one connection after another: head, route, backend, answer; then it is a tunnel, or gone.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use super::first;
use super::floor::{Floor, Visit, patience};
use super::framing::framing;
use super::jobs::Job;
use super::lobby::Lobby;
use super::plain::{self, Plain};
use super::plan::Plan;
use super::reach::Client;
use super::wish::{Wish, find_route, methods_of, wish_of};
use crate::clock::{self, Now};
use crate::fleet::{Pool, PoolId, RateKey, RateRule, Route, Snapshot};
use crate::http::{
    Confirmed, HeadScan, Hop, RequestHead, ResponseHead, add_field, client_address, render_plain,
    render_refusal, render_response, render_upgrade, verify_101,
};
use crate::limits;
use crate::metrics::{BackendFailure, Refusal};
use crate::relay::{FirstBytes, Opening};
use crate::ring::Caller;
use crate::sys;
use crate::upstream::{
    Answer, AnswerError, Dialled, Search, read_answer, request_key, returning, set_cookie,
};
use crate::ws::CloseFrame;

/// A greeter: greets until nothing waits and enough others are idle.
pub(super) async fn run(floor: Rc<Floor>) {
    let mut greeter = Greeter {
        caller: floor.handle.caller(),
        floor,
        head: Vec::new(),
        answer: Vec::new(),
    };
    while let Some(job) = greeter.floor.jobs.next().await {
        let (peer, refused) = (job.peer.ip(), job.refused.is_some());
        let tunnel = greeter.greet(job).await;
        greeter.floor.greeted(peer, refused, tunnel);
        for buffer in [&mut greeter.head, &mut greeter.answer] {
            buffer.clear();
            buffer.shrink_to(limits::GREETER_KEEP_BYTES);
        }
    }
}

/// One greeter and the memory it uses again and again.
pub(super) struct Greeter {
    pub(super) floor: Rc<Floor>,
    pub(super) caller: Caller,
    /// What the client sent.
    pub(super) head: Vec<u8>,
    /// What the backend sent.
    pub(super) answer: Vec<u8>,
}

/// Why a greeting comes to nothing.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client is told so.
    Refuse(Refusal, Cow<'static, str>),
    /// The client has its 101 from us, and gets this. It was refused, or has said goodbye itself.
    Close(Option<Refusal>, Box<CloseFrame>),
    /// There is nobody to tell, or the answer has been given.
    Over,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal, Cow::Borrowed(""))
    }
}

/// What a verified 101 allows, and its head as the client gets it.
type Proven = (Confirmed, Vec<u8>);

/// A request whose route was found.
pub(super) struct Call<'a> {
    pub(super) job: &'a Job,
    plan: &'a Plan,
    pub(super) route: &'a Route,
    head: RequestHead<'a>,
    /// The client's address, behind the trusted proxies.
    client: IpAddr,
    wish: Wish,
}

/// Where it goes.
pub(super) struct Decided<'a> {
    pub(super) pool: PoolId,
    /// What it is hashed by instead of what the pool says.
    pub(super) key: Option<u64>,
    /// What the client sent after its head.
    pub(super) early: Cow<'a, [u8]>,
    pub(super) told: Told,
}

/// What the client has been told before a backend was asked.
pub(super) enum Told {
    Nothing,
    /// It has its 101 from us, with this subprotocol or none.
    Switched(Option<String>),
}

/// A request that was understood.
struct Request<'a> {
    client: Client<'a>,
    head: RequestHead<'a>,
    hop: Hop<'a>,
    wish: Wish,
}

impl Request<'_> {
    /// Its head, as a backend gets it.
    fn rendered(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        match &self.wish {
            Wish::Upgrade(_) => render_upgrade(&self.head, &self.hop, &mut out),
            Wish::Plain { .. } => render_plain(&self.head, &self.hop, &mut out),
        }
        out
    }
}

impl Greeter {
    /// Greets one connection; true if it has become a tunnel.
    async fn greet(&mut self, job: Job) -> bool {
        let mut visit = Visit::default();
        let outcome = match job.refused {
            Some(refusal) => Err(refusal.into()),
            None => self.serve(&job, &mut visit).await,
        };
        match outcome {
            Ok(Some(opening)) => {
                let now = self.floor.answered(job.accepted);
                let (mut ring, mut wheel) = (self.floor.handle.ring(), self.floor.handle.wheel());
                self.floor.tunnels.borrow_mut().open(
                    &mut ring,
                    &mut wheel,
                    (job.socket, opening),
                    now,
                );
                return true;
            }
            Ok(None) => self.farewell(job.socket).await,
            Err(Stop::Over) => self.floor.handle.ring().close(job.socket),
            Err(Stop::Refuse(refusal, detail)) if visit.told => {
                let close = first::close_of(refusal, &detail);
                self.turn_away(job, (Some(refusal), visit), close.as_bytes().to_vec())
                    .await;
            }
            Err(Stop::Close(refusal, close)) => {
                self.turn_away(job, (refusal, visit), close.as_bytes().to_vec())
                    .await;
            }
            Err(Stop::Refuse(refusal, detail)) => {
                let mut answer = Vec::new();
                render_refusal(refusal, &detail, visit.methods, &mut answer);
                self.turn_away(job, (Some(refusal), visit), answer).await;
            }
        }
        false
    }

    /// Gives a client its last answer.
    async fn turn_away(
        &mut self,
        job: Job,
        (refusal, visit): (Option<Refusal>, Visit),
        answer: Vec<u8>,
    ) {
        if let Some(refusal) = refusal {
            self.floor.refused(refusal, job.peer, job.accepted, visit);
        }
        self.floor.answered(job.accepted);
        let deadline = Now::read().after(limits::REFUSAL_TIMEOUT);
        let sent = self.caller.send_all(job.socket.as_fd(), answer, deadline);
        if sent.await.is_ok() {
            self.farewell(job.socket).await;
        }
    }

    /// From the first byte to a verified answer. A plain response is relayed here, whole.
    async fn serve(&mut self, job: &Job, visit: &mut Visit) -> Result<Option<Opening>, Stop> {
        let plan = self.floor.plan();
        let length = self.read_head(job, &plan.snapshot).await?;
        let bytes = std::mem::take(&mut self.head);
        let result = self
            .serve_head(job, &plan, (&bytes[..length], &bytes[length..]), visit)
            .await;
        self.head = bytes;
        result
    }

    async fn serve_head(
        &mut self,
        job: &Job,
        plan: &Plan,
        (head, early): (&[u8], &[u8]),
        visit: &mut Visit,
    ) -> Result<Option<Opening>, Stop> {
        let snapshot = &*plan.snapshot;
        let head = RequestHead::parse(head)
            .map_err(|error| Stop::Refuse(error.refusal(), Cow::Owned(error.to_string())))?;
        self.floor.counters.greeted.add(1);
        let client = client_address(job.peer.ip(), &head, &snapshot.trusted_proxies);
        visit.forwarded_for = (client != job.peer.ip()).then_some(client);
        let route = find_route(snapshot, &head)?;
        visit.route = Some(route.id.0);
        visit.methods = methods_of(route);
        let wish = wish_of(&head, route)?;
        if matches!(wish, Wish::Upgrade(_)) {
            self.may_count(route)?;
        }
        let call = Call {
            job,
            plan,
            route,
            head,
            client,
            wish,
        };
        let decided = match (&call.wish, &route.first_message) {
            (Wish::Upgrade(expected), Some(first)) => {
                visit.told = true;
                first::hold(self, &call, (expected, first), early).await?
            }
            _ => Decided {
                pool: route.pool,
                key: None,
                early: Cow::Borrowed(early),
                told: Told::Nothing,
            },
        };
        self.join(call, decided, visit).await
    }

    /// Whether there is room to count one more client by the rates of its route.
    fn may_count(&self, route: &Route) -> Result<(), Stop> {
        let rules = route.frames.as_ref();
        let is_shared = |rate: &RateRule| rate.by != RateKey::Connection;
        let is_counted = rules.is_some_and(|rules| rules.rates.iter().any(is_shared));
        if is_counted && self.floor.tunnels.borrow_mut().counts_no_more(Now::read()) {
            return Err(Refusal::WorkerFull.into());
        }
        Ok(())
    }

    /// Finds a backend for a request that was understood, and has it answer.
    async fn join(
        &mut self,
        call: Call<'_>,
        decided: Decided<'_>,
        visit: &mut Visit,
    ) -> Result<Option<Opening>, Stop> {
        let (job, route, snapshot) = (call.job, call.route, &*call.plan.snapshot);
        let pool = snapshot.pool(decided.pool);
        let (now, unix_seconds) = (Now::read(), clock::unix_millis() / 1000);
        let returning = returning(pool, &call.head, unix_seconds);
        let key = decided
            .key
            .or_else(|| request_key(pool, &call.head, call.client));
        let wanted = (key, returning.map(|returning| returning.backend));
        let floor = Rc::clone(&self.floor);
        let (policy, lobby) = (
            call.plan.policy(decided.pool),
            floor.lobbies.of(snapshot, pool, now),
        );
        let mut search = Search::new(floor.grounds(pool), policy, &lobby.purse, wanted);
        let request = Request {
            client: (job.socket.as_fd(), call.wish.leaving()),
            hop: self.hop(job, snapshot, (route, pool)),
            head: call.head,
            wish: call.wish,
        };
        let (dialled, answer) = self.answer(&request, &mut search, &lobby, visit).await?;
        let home = (dialled.backend(), dialled.address());
        let set_cookie = set_cookie(pool, returning, home, unix_seconds);
        let page = Plain {
            head_only: matches!(request.wish, Wish::Plain { head_only: true }),
            set_cookie: set_cookie.as_deref(),
        };
        let Some((confirmed, rendered)) = self.confirm(
            (&dialled, answer),
            &request.wish,
            (page.set_cookie, &decided.told),
        )?
        else {
            plain::relay(self, job, (&dialled, answer), page).await?;
            return Ok(None);
        };
        let first_bytes = FirstBytes {
            answer: rendered,
            from_client: decided.early.into_owned(),
            from_backend: self.answer[answer.end..].to_vec(),
        };
        Ok(Some(Opening {
            flow: self.floor.counters.flows.row(&dialled.labels(route)),
            frames: framing(route, &request.head, call.client),
            peer: job.peer,
            accepted: job.accepted,
            forwarded_for: visit.forwarded_for,
            route: route.id.0,
            backend_id: dialled.backend(),
            backend: dialled.into_tunnel(),
            deflate: confirmed.deflate,
            first_bytes,
            patience: patience(route),
        }))
    }

    /// Asks one backend after another until one has answered. Who closes without a word has done nothing yet, so
    /// the next one may be asked; any other end is the client's too.
    async fn answer<'a>(
        &mut self,
        request: &Request<'_>,
        search: &mut Search<'a>,
        lobby: &Lobby,
        visit: &mut Visit,
    ) -> Result<(Dialled<'a>, Answer), Stop> {
        loop {
            let dialled = self.reach(request.client, search, lobby).await?;
            visit.backend = Some(dialled.backend().0);
            let deadline = Now::read().after(search.pool().answer_timeout);
            let error = match self.ask(&dialled, request, deadline).await? {
                Ok(answer) => return Ok((dialled, answer)),
                Err(error) => error,
            };
            let (refusal, detail) = (error.refusal(), error.to_string());
            if !matches!(error, AnswerError::Closed) || !self.answer.is_empty() {
                dialled.failed(error.failure());
                return Err(Stop::Refuse(refusal, detail.into()));
            }
            search.closed_unanswered(&dialled, refusal, detail);
        }
    }

    /// Reads until the head is whole; hands back its length.
    async fn read_head(&mut self, job: &Job, snapshot: &Snapshot) -> Result<usize, Stop> {
        let deadline = job.accepted.after(snapshot.head_timeout);
        let mut scan = HeadScan::default();
        loop {
            match self
                .caller
                .receive(job.socket.as_fd(), &mut self.head, deadline)
                .await
            {
                Ok(0) => return Err(Stop::Over),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(Refusal::HeadTimeout.into());
                }
                Err(_) => return Err(Stop::Over),
            }
            match scan.feed(&self.head) {
                Ok(Some(length)) => return Ok(length),
                Ok(None) => {}
                Err(error) => return Err(Stop::Refuse(error.refusal(), error.to_string().into())),
            }
        }
    }

    /// Sends the request to the backend and reads the head of its answer, for as long as the client waits
    /// for it. Most answers come at once; only a client that has to wait is watched, as that costs two more
    /// requests of the ring.
    async fn ask(
        &mut self,
        dialled: &Dialled<'_>,
        request: &Request<'_>,
        deadline: Now,
    ) -> Result<Result<Answer, AnswerError>, Stop> {
        let head = request.rendered();
        let (caller, bytes) = (&self.caller, &mut self.answer);
        bytes.clear();
        let backend = dialled.socket();
        // A backend may answer and close before it has read everything: its answer counts, not the send.
        let _ = caller.send_all(backend, head, deadline).await;
        let soon = Now::read().after(limits::CLIENT_WATCHED_AFTER);
        let answer = read_answer(caller, backend, bytes, soon.min(deadline)).await;
        if soon >= deadline || !matches!(answer, Err(AnswerError::Timeout)) {
            return Ok(answer);
        }
        let work = read_answer(caller, backend, bytes, deadline);
        let call_off = || sys::end_both(&backend);
        let handle = caller.handle();
        let answer = handle.unless_left(request.client, work, call_off).await;
        answer.ok_or_else(|| {
            self.floor.counters.abandoned.add(1);
            Stop::Over
        })
    }

    /// Verifies a 101 (security rule 1), and renders it for the client. Nothing if the answer is an
    /// ordinary response, or no upgrade was asked for.
    fn confirm(
        &self,
        (dialled, answer): (&Dialled<'_>, Answer),
        wish: &Wish,
        (set_cookie, told): (Option<&str>, &Told),
    ) -> Result<Option<Proven>, Stop> {
        let Wish::Upgrade(expected) = wish else {
            return Ok(None);
        };
        if !answer.switches {
            return match told {
                Told::Nothing => Ok(None),
                // It answered as it may; the client cannot be given that answer any more.
                Told::Switched(_) => {
                    dialled.succeeded();
                    let words = "the backend refused the handshake";
                    Err(Stop::Refuse(Refusal::BadBackendAnswer, words.into()))
                }
            };
        }
        let bad = |detail: String| {
            dialled.failed(BackendFailure::BadAnswer);
            Stop::Refuse(Refusal::BadBackendAnswer, detail.into())
        };
        let head = ResponseHead::parse(&self.answer[answer.start..answer.end])
            .map_err(|error| bad(AnswerError::from(error).to_string()))?;
        let confirmed = verify_101(&head, expected).map_err(|error| bad(error.to_string()))?;
        if let Told::Switched(subprotocol) = told {
            let chosen = head.header("sec-websocket-protocol");
            dialled.succeeded();
            if chosen != subprotocol.as_ref().map(String::as_bytes) {
                let words = "the backend chose another subprotocol";
                return Err(Stop::Refuse(Refusal::BadBackendAnswer, words.into()));
            }
            return Ok(Some((confirmed, Vec::new())));
        }
        dialled.succeeded();
        let mut rendered = Vec::with_capacity(512);
        render_response(&head, Some(&confirmed), &mut rendered);
        if let Some(cookie) = set_cookie {
            add_field("Set-Cookie", cookie, &mut rendered);
        }
        Ok(Some((confirmed, rendered)))
    }

    /// The head of the answer, which was parsed once when it was read.
    pub(super) fn answer_head(&self, answer: Answer) -> Result<ResponseHead<'_>, Stop> {
        ResponseHead::parse(&self.answer[answer.start..answer.end])
            .map_err(|_| Refusal::BadBackendAnswer.into())
    }

    /// What the backend is told about the client's hop.
    fn hop<'a>(
        &self,
        job: &Job,
        snapshot: &Snapshot,
        (route, pool): (&Route, &'a Pool),
    ) -> Hop<'a> {
        let peer = job.peer.ip();
        let canonical = peer.to_canonical();
        Hop {
            peer,
            trusted: snapshot
                .trusted_proxies
                .iter()
                .any(|block| block.contains(&canonical)),
            scheme: "http",
            local: self.floor.listeners[job.listener as usize],
            hidden_cookie: pool.sticky.as_ref().map(|sticky| &*sticky.cookie),
            offers_deflate: route.offers_deflate,
        }
    }

    /// Ends our half and reads what the client still sends, so that no reset overtakes the answer.
    async fn farewell(&mut self, socket: OwnedFd) {
        sys::end_stream(&socket);
        let deadline = Now::read().after(limits::REFUSAL_TIMEOUT);
        let mut dropped = 0;
        while dropped < limits::REFUSAL_DRAIN_BYTES_MAX {
            self.answer.clear();
            match self
                .caller
                .receive(socket.as_fd(), &mut self.answer, deadline)
                .await
            {
                Ok(bytes) if bytes > 0 => dropped += bytes,
                _ => break,
            }
        }
        self.floor.handle.ring().close(socket);
    }
}
