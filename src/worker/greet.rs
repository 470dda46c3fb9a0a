//! Greets one connection after another: head, route, backend, answer; then it is a tunnel, or gone.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::rc::Rc;

use super::certificate;
use super::first;
use super::floor::{Floor, Visit, patience};
use super::framing::framing;
use super::jobs::Job;
use super::lobby::Lobby;
use super::plain::{self, Plain};
use super::plan::Plan;
use super::reach::Client;
use super::secure::{broke_off, secure};
use super::wish::{Wish, find_route, methods_of, wish_of};
use crate::clock::{self, Now};
use crate::fleet::{Pool, PoolId, RateKey, RateRule, Route, Snapshot};
use crate::http::{
    Confirmed, HeadScan, Hop, RequestHead, add_field, client_address, render_plain,
    render_refusal_with, render_upgrade,
};
use crate::limits;
use crate::metrics::Refusal;
use crate::relay::{FirstBytes, Opening};
use crate::ring::Caller;
use crate::tls::Facts;
use crate::upstream::{
    Answer, AnswerError, Dialled, Search, Stream, request_key, returning, set_cookie,
};
use crate::ws::CloseFrame;

/// RFC 6797.
pub(super) const HSTS: &str = "Strict-Transport-Security";

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
    /// The client cannot be told so, or has been told in an alert; then there are words, for the log.
    Mute(Refusal, String),
    /// There is nobody to tell, or the answer has been given.
    Over,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal, Cow::Borrowed(""))
    }
}

/// What a verified 101 allows, and its head as the client gets it.
pub(super) type Proven = (Confirmed, Vec<u8>);

/// The head of a request, what came behind it, and what the TLS handshake before it told.
type Came<'a> = (&'a [u8], &'a [u8], Option<&'a Facts>);

/// A request whose route was found.
pub(super) struct Call<'a> {
    pub(super) job: &'a Job,
    plan: &'a Plan,
    pub(super) route: &'a Route,
    head: RequestHead<'a>,
    /// The client's address, behind the trusted proxies.
    client: IpAddr,
    /// What its TLS handshake told, if there was one.
    facts: Option<&'a Facts>,
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
pub(super) struct Request<'a> {
    /// What its backend is told of the client's certificate.
    told: Vec<(&'a str, String)>,
    pub(super) client: Client<'a>,
    head: RequestHead<'a>,
    hop: Hop<'a>,
    wish: Wish,
}

impl Request<'_> {
    /// Its head, as a backend gets it.
    pub(super) fn rendered(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        match &self.wish {
            Wish::Upgrade(_) => render_upgrade(&self.head, &self.hop, &mut out),
            Wish::Plain { .. } => render_plain(&self.head, &self.hop, &mut out),
        }
        for (name, value) in &self.told {
            add_field(name, value, &mut out);
        }
        out
    }
}

impl Greeter {
    /// Greets one connection; true if it has become a tunnel.
    async fn greet(&mut self, job: Job) -> bool {
        let mut visit = Visit::default();
        let outcome = match job.refused {
            // A handshake would cost more than it is worth to say why not.
            Some(refusal) if self.floor.plan().snapshot.tls(job.listener).is_some() => {
                Err(Stop::Mute(refusal, String::new()))
            }
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
                    (job.stream.into_parts(), opening),
                    now,
                );
                return true;
            }
            Ok(None) => self.farewell(job.stream).await,
            Err(Stop::Over) => self.close(job.stream),
            Err(Stop::Refuse(refusal, detail)) if visit.told => {
                let close = first::close_of(refusal, &detail);
                self.turn_away(job, (Some(refusal), visit), close.as_bytes().to_vec())
                    .await;
            }
            Err(Stop::Mute(refusal, words)) => {
                tracing::debug!(peer = %job.peer, reason = refusal.label(), %words, "refused");
                let visit = Visit {
                    mute: true,
                    ..visit
                };
                self.floor.refused(refusal, job.peer, job.accepted, visit);
                // Who was told something must be able to read it; on the others nobody waits.
                if words.is_empty() {
                    self.close(job.stream);
                } else {
                    self.farewell(job.stream).await;
                }
            }
            Err(Stop::Close(refusal, close)) => {
                self.turn_away(job, (refusal, visit), close.as_bytes().to_vec())
                    .await;
            }
            Err(Stop::Refuse(refusal, detail)) => {
                let mut answer = Vec::new();
                let plan = self.floor.plan();
                // RFC 6797 section 7.2: never in the clear.
                let hsts = plan.snapshot.hsts(job.listener);
                let hsts = hsts.filter(|_| refusal != Refusal::PlainHttp);
                let page = (visit.methods, hsts);
                render_refusal_with(refusal, &detail, page, &mut answer);
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
        let sent = job.stream.send_all(&self.caller, answer, deadline);
        if sent.await.is_ok() {
            self.farewell(job.stream).await;
        }
    }

    /// From the first byte to a verified answer. A plain response is relayed here, whole.
    async fn serve(&mut self, job: &Job, visit: &mut Visit) -> Result<Option<Opening>, Stop> {
        let plan = self.floor.plan();
        let door = plan.snapshot.tls(job.listener);
        let facts = match door {
            Some(door) => Some(secure(self, job, door).await?),
            None => None,
        };
        // Who has shaken hands has as long for its head as one in the clear.
        let began = facts.as_ref().map_or(job.accepted, |_| Now::read());
        let deadline = began.after(plan.snapshot.head_timeout);
        let length = self.read_head(job, deadline).await?;
        let bytes = std::mem::take(&mut self.head);
        let (head, early) = bytes.split_at(length);
        let told = (head, early, facts.as_ref());
        let result = self.serve_head(job, &plan, told, visit).await;
        self.head = bytes;
        result
    }

    async fn serve_head(
        &mut self,
        job: &Job,
        plan: &Plan,
        (head, early, facts): Came<'_>,
        visit: &mut Visit,
    ) -> Result<Option<Opening>, Stop> {
        let snapshot = &*plan.snapshot;
        let head = RequestHead::parse(head)
            .map_err(|error| Stop::Refuse(error.refusal(), Cow::Owned(error.to_string())))?;
        self.floor.counters.greeted.add(1);
        if let Some(location) =
            snapshot.redirect_of(job.listener, head.host(), head.path_and_query())
        {
            return Err(Stop::Refuse(Refusal::RedirectToHttps, location.into()));
        }
        let client = client_address(job.peer.ip(), &head, &snapshot.trusted_proxies);
        visit.forwarded_for = (client != job.peer.ip()).then_some(client);
        let route = find_route(snapshot, &head)?;
        visit.route = Some(route.id.0);
        visit.methods = methods_of(route);
        if let Some(rules) = &route.client_certificate {
            certificate::check(rules, facts)?;
        }
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
            facts,
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
            told: certificate::fields(route.client_certificate.as_deref(), call.facts),
            client: (job.stream.as_fd(), call.wish.leaving()),
            hop: self.hop(job, snapshot, (route, pool), call.facts),
            head: call.head,
            wish: call.wish,
        };
        let (dialled, answer) = self.answer(&request, &mut search, &lobby, visit).await?;
        let home = (dialled.backend(), dialled.address());
        let set_cookie = set_cookie(pool, returning, home, unix_seconds);
        let page = Plain {
            hsts: snapshot.hsts(job.listener),
            head_only: matches!(request.wish, Wish::Plain { head_only: true }),
            set_cookie: set_cookie.as_deref(),
        };
        let Some((confirmed, rendered)) =
            self.confirm((&dialled, answer), &request.wish, (page, &decided.told))?
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
    async fn read_head(&mut self, job: &Job, deadline: Now) -> Result<usize, Stop> {
        let mut scan = HeadScan::default();
        loop {
            // Over TLS, the head may have come with the end of the handshake.
            if !self.head.is_empty() {
                match scan.feed(&self.head) {
                    Ok(Some(length)) => return Ok(length),
                    Ok(None) => {}
                    Err(error) => {
                        return Err(Stop::Refuse(error.refusal(), error.to_string().into()));
                    }
                }
            }
            let stream = &job.stream;
            match stream.receive(&self.caller, &mut self.head, deadline).await {
                Ok(0) => return Err(Stop::Over),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(Refusal::HeadTimeout.into());
                }
                Err(error) => return Err(broke_off(&error).unwrap_or(Stop::Over)),
            }
        }
    }

    /// What the backend is told about the client's hop.
    fn hop<'a>(
        &self,
        job: &Job,
        snapshot: &'a Snapshot,
        (route, pool): (&Route, &'a Pool),
        facts: Option<&Facts>,
    ) -> Hop<'a> {
        let peer = job.peer.ip();
        let canonical = peer.to_canonical();
        Hop {
            peer,
            trusted: snapshot
                .trusted_proxies
                .iter()
                .any(|block| block.contains(&canonical)),
            scheme: if facts.is_some() { "https" } else { "http" },
            local: self.floor.listeners[job.listener as usize],
            claimed: snapshot.routes.claimed_fields(),
            hidden_cookie: pool.sticky.as_ref().map(|sticky| &*sticky.cookie),
            offers_deflate: route.offers_deflate,
        }
    }

    /// Ends our half and reads what the client still sends, so that no reset overtakes the answer.
    async fn farewell(&mut self, stream: Stream) {
        stream.end();
        let deadline = Now::read().after(limits::REFUSAL_TIMEOUT);
        let mut dropped = 0;
        while dropped < limits::REFUSAL_DRAIN_BYTES_MAX {
            self.answer.clear();
            match self
                .caller
                .receive(stream.as_fd(), &mut self.answer, deadline)
                .await
            {
                Ok(bytes) if bytes > 0 => dropped += bytes,
                _ => break,
            }
        }
        self.close(stream);
    }

    fn close(&self, stream: Stream) {
        self.floor.handle.ring().close(stream.into_parts().0);
    }
}
