//! A proxy in front of a local service. It counts the calls, and fails, delays or holds those that a test names.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

/// Stands for every operation.
pub const ANY: &str = "*";

/// The request that only opens a connection; it is no operation.
pub const OPENING: &str = "GET /";

type Hook = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What happens to a call.
#[derive(Clone)]
pub enum Fault {
    /// It is answered with this, and never reaches the service.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The error's type.
        kind: String,
        /// The error's message.
        message: String,
    },
    /// It is passed on after a while.
    Delay(Duration),
    /// It is neither passed on nor answered.
    Hang,
    /// It is not passed on, and its answer never comes to an end.
    Stall,
    /// It is passed on, and the connection closed in place of an answer.
    DropAnswer,
    /// The connection is closed in place of passing it on.
    DropCall,
    /// It waits for others and is passed on together with them; see [`Fault::together`].
    Together(Arc<Barrier>),
    /// Something else happens before it is passed on; see [`Fault::before`].
    Before(Hook),
    /// Something else happens after it was passed on and before the answer is; see [`Fault::after`].
    After(Hook),
}

impl Fault {
    /// An error of AWS, such as `error(400, "ThrottlingException")`.
    #[must_use]
    pub fn error(status: u16, kind: &str) -> Self {
        Self::Answer {
            status,
            kind: kind.to_owned(),
            message: format!("{kind}, as the test demands"),
        }
    }

    /// The service asks to slow down.
    #[must_use]
    pub fn throttled() -> Self {
        Self::error(400, "ThrottlingException")
    }

    /// The function's role lacks a permission.
    #[must_use]
    pub fn access_denied() -> Self {
        Self::error(400, "AccessDeniedException")
    }

    /// The service is out of order.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::error(503, "ServiceUnavailable")
    }

    /// Holds calls until `calls` of them have arrived, then passes all on.
    #[must_use]
    pub fn together(calls: usize) -> Self {
        Self::Together(Arc::new(Barrier::new(calls)))
    }

    /// Does something else before the call is passed on.
    #[must_use]
    pub fn before<F: Future<Output = ()> + Send + 'static>(
        hook: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self::Before(Arc::new(move || Box::pin(hook())))
    }

    /// Does something else after the call was passed on, before its answer is.
    #[must_use]
    pub fn after<F: Future<Output = ()> + Send + 'static>(
        hook: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self::After(Arc::new(move || Box::pin(hook())))
    }
}

/// The proxy in front of one service. Without an order it passes everything on.
#[derive(Clone)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    service: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    connections: AtomicUsize,
    answers: AtomicUsize,
    calls: Mutex<Vec<Call>>,
    orders: Mutex<Vec<Order>>,
}

/// A call that arrived at the proxy, retries included.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `PutItem`, `SendEmail`, `GetSecretValue`, …
    pub operation: String,
    /// The request's JSON.
    pub request: Value,
}

struct Order {
    operation: String,
    /// For how many calls; without it, for good.
    left: Option<usize>,
    fault: Fault,
}

impl Proxy {
    /// Starts a proxy before the service that listens at `service`.
    pub async fn start(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            service,
            client: Client::builder(TokioExecutor::new()).build_http(),
            connections: AtomicUsize::default(),
            answers: AtomicUsize::default(),
            calls: Mutex::default(),
            orders: Mutex::default(),
        });
        tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { address, state }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next call of `operation` meets `fault`.
    pub fn once(&self, operation: &str, fault: Fault) {
        self.times(1, operation, fault);
    }

    /// The next `times` calls of `operation` meet `fault`.
    pub fn times(&self, times: usize, operation: &str, fault: Fault) {
        self.order(operation, Some(times), fault);
    }

    /// Every call of `operation` meets `fault`, until [`Proxy::heal`].
    pub fn always(&self, operation: &str, fault: Fault) {
        self.order(operation, None, fault);
    }

    /// Takes all orders back.
    pub fn heal(&self) {
        self.state.orders.lock().unwrap().clear();
    }

    /// How many connections clients have opened to it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// How many answers it has given, to requests of any kind.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.state.answers.load(Ordering::Relaxed)
    }

    /// How many calls of `operation` have arrived.
    #[must_use]
    pub fn calls(&self, operation: &str) -> usize {
        self.requests(operation).len()
    }

    /// The requests of `operation` that have arrived, in order.
    #[must_use]
    pub fn requests(&self, operation: &str) -> Vec<Value> {
        let calls = self.state.calls.lock().unwrap();
        calls
            .iter()
            .filter(|call| matches(operation, &call.operation))
            .map(|call| call.request.clone())
            .collect()
    }

    /// All calls that have arrived, in order.
    #[must_use]
    pub fn all_calls(&self) -> Vec<Call> {
        let calls = self.state.calls.lock().unwrap();
        let calls = calls.iter().filter(|call| matches(ANY, &call.operation));
        calls.cloned().collect()
    }

    /// Forgets the calls that have arrived.
    pub fn forget_calls(&self) {
        self.state.calls.lock().unwrap().clear();
    }

    fn order(&self, operation: &str, left: Option<usize>, fault: Fault) {
        let order = Order {
            operation: operation.to_owned(),
            left,
            fault,
        };
        self.state.orders.lock().unwrap().push(order);
    }
}

fn matches(pattern: &str, operation: &str) -> bool {
    pattern == operation || (pattern == ANY && operation != OPENING)
}

impl State {
    /// The oldest order that applies to this call.
    fn fault(&self, operation: &str) -> Option<Fault> {
        let mut orders = self.orders.lock().unwrap();
        let index = orders
            .iter()
            .position(|order| matches(&order.operation, operation))?;
        let order = &mut orders[index];
        let fault = order.fault.clone();
        if let Some(left) = &mut order.left {
            *left -= 1;
            if *left == 0 {
                orders.remove(index);
            }
        }
        Some(fault)
    }

    async fn pass_on(&self, mut call: Request<Full<Bytes>>) -> Result<Response<Body>, Dropped> {
        let path = call
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        *call.uri_mut() = format!("http://{}{path}", self.service)
            .parse::<Uri>()
            .map_err(|_| Dropped)?;
        let (head, body) = self
            .client
            .request(call)
            .await
            .map_err(|_| Dropped)?
            .into_parts();
        let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
        Ok(Response::from_parts(head, Either::Left(Full::new(body))))
    }

    async fn answer(&self, call: Request<Incoming>) -> Result<Response<Body>, Dropped> {
        let (head, body) = call.into_parts();
        let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
        let call = Request::from_parts(head, Full::new(body.clone()));
        let operation = operation(&call);
        self.calls.lock().unwrap().push(Call {
            operation: operation.clone(),
            request: serde_json::from_slice(&body).unwrap_or_default(),
        });

        match self.fault(&operation) {
            None => self.pass_on(call).await,
            Some(Fault::Answer {
                status,
                kind,
                message,
            }) => Ok(error(status, &kind, &message)),
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                self.pass_on(call).await
            }
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Stall) => Ok(Response::new(Either::Right(Stalled))),
            Some(Fault::DropCall) => Err(Dropped),
            Some(Fault::DropAnswer) => {
                self.pass_on(call).await?;
                Err(Dropped)
            }
            Some(Fault::Together(barrier)) => {
                barrier.wait().await;
                self.pass_on(call).await
            }
            Some(Fault::Before(hook)) => {
                hook().await;
                self.pass_on(call).await
            }
            Some(Fault::After(hook)) => {
                let answer = self.pass_on(call).await;
                hook().await;
                answer
            }
        }
    }
}

/// An answer's body, most often a whole one.
type Body = Either<Full<Bytes>, Stalled>;

/// A body that announces more bytes than it sends.
struct Stalled;

impl hyper::body::Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(2)
    }
}

/// Tells the server to close the connection.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

async fn serve(listener: TcpListener, state: Arc<State>) -> Result<Infallible, std::io::Error> {
    loop {
        let (connection, _) = listener.accept().await?;
        state.connections.fetch_add(1, Ordering::Relaxed);
        let state = Arc::clone(&state);
        let answer = service_fn(move |call| {
            let state = Arc::clone(&state);
            // A task of its own: a call goes on when its client gives up waiting, as it does in a real service.
            async move {
                let answering = Arc::clone(&state);
                let answer = tokio::spawn(async move { answering.answer(call).await });
                let answer = answer.await.unwrap_or(Err(Dropped));
                state.answers.fetch_add(1, Ordering::Relaxed);
                answer
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), answer));
    }
}

fn operation<T>(call: &Request<T>) -> String {
    let target = call
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    match (target, call.uri().path()) {
        (Some(target), _) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        (None, "/v2/email/outbound-emails") => "SendEmail".to_owned(),
        (None, path) => format!("{} {path}", call.method()),
    }
}

/// An error in every protocol at once: by header, and in the JSON.
fn error(status: u16, kind: &str, message: &str) -> Response<Body> {
    let body = json!({ "__type": kind, "message": message }).to_string();
    let mut answer = Response::new(Either::Left(Full::from(body)));
    *answer.status_mut() = StatusCode::from_u16(status).expect("an HTTP status");
    answer.headers_mut().insert(
        "content-type",
        "application/json".parse().expect("a header"),
    );
    answer
        .headers_mut()
        .insert("x-amzn-errortype", kind.parse().expect("a header"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use local::ses::Ses;
    use std::time::Instant;
    use tokio::time::timeout;

    const SHORT: Duration = Duration::from_millis(50);

    struct Service {
        ses: Ses,
        proxy: Proxy,
    }

    impl Service {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let ses = Ses::start(listener, None).unwrap();
            let proxy = Proxy::start(ses.address()).await;
            Self { ses, proxy }
        }

        /// The answer's status, or nothing if the connection was closed.
        async fn send(&self) -> Option<u16> {
            let mail = json!({
                "FromEmailAddress": "a@example.com",
                "Destination": { "ToAddresses": ["b@example.com"] },
                "Content": { "Simple": { "Subject": { "Data": "Hello" } } },
            });
            let client = Client::builder(TokioExecutor::new()).build_http();
            let uri = format!("{}/v2/email/outbound-emails", self.proxy.url());
            let request = Request::post(uri)
                .body(Full::<Bytes>::from(mail.to_string()))
                .unwrap();
            client
                .request(request)
                .await
                .ok()
                .map(|answer| answer.status().as_u16())
        }

        fn mails(&self) -> usize {
            self.ses.mails().len()
        }
    }

    #[tokio::test]
    async fn calls_pass_and_are_counted() {
        let service = Service::start().await;

        assert_eq!(service.send().await, Some(200));

        assert_eq!(service.mails(), 1);
        assert_eq!(service.proxy.calls("SendEmail"), 1);
        assert_eq!(
            service.proxy.requests(ANY)[0]["FromEmailAddress"],
            "a@example.com"
        );
    }

    #[tokio::test]
    async fn orders_are_obeyed_as_often_as_told() {
        let service = Service::start().await;
        service.proxy.times(2, "SendEmail", Fault::throttled());
        service.proxy.always("GetItem", Fault::Hang);

        assert_eq!(service.send().await, Some(400));
        assert_eq!(service.send().await, Some(400));
        assert_eq!(service.send().await, Some(200));
        assert_eq!(service.mails(), 1);
    }

    #[tokio::test]
    async fn a_dropped_answer_is_passed_on_and_a_dropped_call_is_not() {
        let service = Service::start().await;
        service.proxy.once(ANY, Fault::DropAnswer);
        service.proxy.once(ANY, Fault::DropCall);

        assert_eq!(service.send().await, None);
        assert_eq!(service.mails(), 1);
        assert_eq!(service.send().await, None);
        assert_eq!(service.mails(), 1);
    }

    #[tokio::test]
    async fn calls_hang_or_are_late() {
        let service = Service::start().await;
        service.proxy.always(ANY, Fault::Hang);
        assert!(timeout(SHORT, service.send()).await.is_err());

        service.proxy.heal();
        service.proxy.once(ANY, Fault::Delay(SHORT));
        let sent = Instant::now();
        assert_eq!(service.send().await, Some(200));
        assert!(sent.elapsed() >= SHORT);
    }

    #[tokio::test]
    async fn calls_wait_for_each_other() {
        let service = Service::start().await;
        service.proxy.times(2, ANY, Fault::together(2));

        assert!(
            timeout(SHORT, service.send()).await.is_err(),
            "the first one waits"
        );
        assert_eq!(
            service.send().await,
            Some(200),
            "until the second one arrives"
        );
    }

    #[tokio::test]
    async fn something_else_happens_in_between() {
        let service = Service::start().await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        for hook in [Fault::before as fn(_) -> _, Fault::after] {
            let (seen, ses) = (Arc::clone(&seen), service.ses.clone());
            service.proxy.once(
                ANY,
                hook(move || {
                    seen.lock().unwrap().push(ses.mails().len());
                    std::future::ready(())
                }),
            );
        }

        service.send().await;
        service.send().await;

        assert_eq!(*seen.lock().unwrap(), [0, 2]);
    }
}
