//! Sessions of visitors, and the forms that they submit.
//!
//! Another site's page could make a visitor's browser submit a form here. It cannot read this host's pages, so it
//! cannot know the session's token, which every form contains; [`FormData`] and [`Uploaded`], the only ways to read a
//! form, check it. In addition, the cookie is not sent with other sites' forms, and a request that declares another
//! origin is rejected.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Request, State};
use axum::http::header::{HOST, HeaderMap, ORIGIN};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use cartwright::ShopId;
use cartwright_http::access::Caller;
use cartwright_http::body;
use cartwright_http::extract::{Raw, read_problem, require_media_type};
use cartwright_http::{Node, Problem};
use cartwright_service::input;
use cartwright_store::{AccessError, Session};
use jiff::civil::Date;
use url::Url;
use url::form_urlencoded;

use super::issues::wrong;
use super::open_items::OpenItems;
use super::paths::address;

/// Maximum number of fields of a form. A field takes a few bytes of a body and many times as much memory.
const MAX_FORM_FIELDS: usize = 10_000;

/// A visitor who has signed in.
#[derive(Debug, Clone)]
pub(super) struct AdminUser {
    pub(super) caller: Caller,
    session: Session,
    /// The address of the current page.
    pub(super) at: Uri,
    /// The shop of the current page; elsewhere, the shop that the visitor's key is bound to.
    pub(super) shop: Option<ShopId>,
    /// The open items of that shop.
    pub(super) open: OpenItems,
    /// The shops that the visitor can choose among: all for an admin.
    pub(super) shops: Arc<[ShopId]>,
}

impl AdminUser {
    async fn new(node: &Node, session: Session, at: Uri) -> Result<Self, Problem> {
        let caller = Caller::of(session.access.clone());
        let mut shops = if caller.is_admin() { node.host().shop_ids() } else { Vec::new() };
        shops.sort();
        let (shop, open) = match shop_of(node, &caller, at.path()) {
            Some(shop) => {
                let open = OpenItems::of(node, &shop, &caller).await?;
                (Some(shop), open)
            }
            None => (caller.shop().cloned(), OpenItems::default()),
        };
        Ok(Self { caller, session, at, shop, open, shops: shops.into() })
    }

    /// Returns the token that every form of the session's pages contains.
    pub(super) fn csrf(&self) -> &str {
        self.session.csrf_token()
    }

    fn is_csrf_token(&self, text: &str) -> bool {
        self.session.is_csrf_token(text)
    }
}

impl FromRequestParts<Node> for AdminUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Node) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(signed_out_problem)
    }
}

/// Returns the shop in the path of a page, if it exists and the caller may see it.
fn shop_of(node: &Node, caller: &Caller, path: &str) -> Option<ShopId> {
    let id = path.strip_prefix("/admin/shops/")?.split('/').next()?;
    let shop: ShopId = id.parse().ok()?;
    let is_theirs = caller.shop().is_none_or(|own| *own == shop);
    (is_theirs && node.host().shop(&shop).is_ok()).then_some(shop)
}

fn signed_out_problem() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "access", "sign in")
}

/// The address of the client, as far as it is known.
pub(super) struct ClientIp(pub(super) Option<IpAddr>);

impl FromRequestParts<Node> for ClientIp {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Node) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<IpAddr>().copied()))
    }
}

/// Identifies the visitor by the session cookie.
pub(super) async fn identify(State(node): State<Node>, mut request: Request, next: Next) -> Response {
    if !request.method().is_safe()
        && let Some(problem) = foreign_origin(&node, request.headers())
    {
        return problem.into_response();
    }
    let from = node.client_ip(&request);
    if let Some(from) = from {
        request.extensions_mut().insert(from);
    }
    let jar = CookieJar::from_headers(request.headers());
    let mut known = None;
    if let Some(cookie) = jar.get(cookie_name(&node)) {
        match node.store().access().session(cookie.value(), from, node.now()).await {
            Ok(session) => {
                if let Err(wait) = node.limits().check_key(cookie.value(), &session.access.key) {
                    return Problem::from(wait).into_response();
                }
                let at = request.uri().clone();
                let visitor = match AdminUser::new(&node, session, at).await {
                    Ok(visitor) => visitor,
                    Err(problem) => return problem.into_response(),
                };
                body::mark_trusted(request.extensions());
                request.extensions_mut().insert(visitor.caller.clone());
                request.extensions_mut().insert(visitor.clone());
                known = Some(visitor);
            }
            Err(AccessError::Store(error)) => return Problem::from(error).into_response(),
            Err(error) => tracing::debug!(%error, "a session is over"),
        }
    }
    let mut response = next.run(request).await;
    // For the middleware outside of this one, which draws problems.
    if let Some(visitor) = known {
        response.extensions_mut().insert(visitor);
    }
    response
}

fn too_many() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", format!("a form has at most {MAX_FORM_FIELDS} fields"))
}

fn origin_problem() -> Problem {
    let detail = "This form has expired or belongs to another page. Reload the page and submit it again.";
    Problem::new(StatusCode::FORBIDDEN, "csrf", detail)
}

/// The kind of the problem that rejects a form of another origin.
pub(super) const ORIGIN_PROBLEM: &str = "origin";

/// Returns a problem if a form may be another site's. Browsers send the origin of a form; a request without one is not
/// from a browser, and has no cookie either.
///
/// Behind a proxy the host may have another name than the browser uses. Its own forms then look like another site's, so
/// the problem names both origins and who can fix the proxy.
fn foreign_origin(node: &Node, headers: &HeaderMap) -> Option<Problem> {
    let origin = String::from_utf8_lossy(headers.get(ORIGIN)?.as_bytes());
    let host = headers.get(HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
    if let Ok(origin) = Url::parse(&origin) {
        // Parsed as the browser spells it, because a proxy may add the scheme's default port.
        let request_origin = host.as_ref().and_then(|host| Url::parse(&format!("{}://{host}/", origin.scheme())).ok());
        if node.admin_url().origin() == origin.origin()
            || request_origin.is_some_and(|request_origin| request_origin.origin() == origin.origin())
        {
            return None;
        }
    }
    let detail = if origin == "null" {
        "Your browser does not say which page sent this form (Origin: null), so it may be another site's. Open this host's page by \
            itself, not within another page, and send the form from there."
            .to_owned()
    } else {
        let reached = host.map_or_else(|| "without a name (no Host header)".to_owned(), |host| format!("as {host}"));
        format!(
            "Your browser sent this form from {origin}, and the request reached the host {reached}: it may be another site's form. If \
             you filled it in at this host's own page, a proxy in between changes the host's name. The operator of this host can fix it: \
             have the proxy pass the Host header on unchanged (nginx: proxy_set_header Host $http_host;), or start the host with \
             --public-url (or --admin-url, where --admin-listen is used) and the address that browsers use, {origin}."
        )
    };
    Some(Problem::new(StatusCode::FORBIDDEN, ORIGIN_PROBLEM, detail))
}

/// Returns the name of the cookie. Its prefix makes browsers enforce its attributes: `__Host-` means TLS, this host
/// alone and the path "/"; `__Secure-` means TLS.
fn cookie_name(node: &Node) -> &'static str {
    match (node.admin_url().is_secure(), node.admin_url().prefix()) {
        (false, _) => "cartwright",
        (true, "") => "__Host-cartwright",
        (true, _) => "__Secure-cartwright",
    }
}

/// Returns the cookie of a session: unreadable for scripts, not sent with other sites' forms, and deleted when the
/// browser closes.
pub(super) fn cookie(node: &Node, session: String) -> Cookie<'static> {
    let cookie =
        Cookie::build((cookie_name(node), session)).path(address("/")).http_only(true).same_site(SameSite::Lax);
    cookie.secure(node.admin_url().is_secure()).build()
}

/// Returns the session's text from the cookie, if there is one.
pub(super) fn session(node: &Node, headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers).get(cookie_name(node)).map(|cookie| cookie.value().to_owned())
}

/// The fields of a submitted form, by name.
#[derive(Debug)]
pub(super) struct FormData(Vec<(String, String)>);

impl FormData {
    /// Returns a field's text without surrounding spaces, or an empty text if it is missing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map(|(_, text)| text.trim()).unwrap_or_default()
    }

    /// Returns a field's text unchanged, except for line ends.
    pub(super) fn raw(&self, name: &str) -> String {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map(|(_, text)| text.replace("\r\n", "\n")).unwrap_or_default()
    }

    /// Returns all texts of a field.
    pub(super) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, text)| text.trim())
    }

    /// Reads a list with one value per line, as [`input::lines`] writes it.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        self.lines(name).map(input::value).collect()
    }

    /// Reads a whole number.
    pub(super) fn whole<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Problem> {
        let text = self.read::<String>(name)?;
        input::whole(&text).map_err(|reason| wrong(name, reason))
    }

    /// Returns the lines of a field that are not blank.
    pub(super) fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.texts(name).flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty())
    }

    /// Returns whether a box is checked.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// Parses a field's text; `None` if it is empty.
    pub(super) fn optional<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|error: T::Err| wrong(name, error.to_string()))
    }

    /// Parses a field's text.
    pub(super) fn read<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Problem> {
        self.optional(name)?.ok_or_else(|| wrong(name, "Enter a value."))
    }

    /// Reads a day; `None` if the field is empty.
    pub(super) fn day(&self, name: &str) -> Result<Option<Date>, Problem> {
        let form = || wrong(name, "Enter a date as year, month and day, such as 2026-12-31.");
        Some(self.text(name))
            .filter(|text| !text.is_empty())
            .map(|text| text.parse::<Date>().map_err(|_| form()))
            .transpose()
    }

    fn check(&self, visitor: &AdminUser) -> Result<(), Problem> {
        if !visitor.is_csrf_token(self.text("csrf")) {
            return Err(origin_problem());
        }
        match self.0.iter().find(|(_, text)| text.contains('\0')) {
            Some((name, _)) => Err(Problem::unprocessable("body", format!("{name}: remove the NUL character"))),
            None => Ok(()),
        }
    }
}

/// The form of a visitor who has not signed in.
pub(super) struct AnonymousForm(pub(super) FormData);

impl FromRequest<Node> for AnonymousForm {
    type Rejection = Problem;

    async fn from_request(request: Request, node: &Node) -> Result<Self, Problem> {
        require_media_type(request.headers(), "application/x-www-form-urlencoded")?;
        let Raw(bytes) = Raw::from_request(request, node).await?;
        let pairs: Vec<_> = form_urlencoded::parse(&bytes).take(MAX_FORM_FIELDS + 1).collect();
        if pairs.len() > MAX_FORM_FIELDS {
            return Err(too_many());
        }
        Ok(Self(FormData(pairs.into_iter().map(|(name, text)| (name.into_owned(), text.into_owned())).collect())))
    }
}

impl FromRequest<Node> for FormData {
    type Rejection = Problem;

    async fn from_request(request: Request, node: &Node) -> Result<Self, Problem> {
        let visitor = request.extensions().get::<AdminUser>().cloned().ok_or_else(signed_out_problem)?;
        let AnonymousForm(sent) = AnonymousForm::from_request(request, node).await?;
        sent.check(&visitor)?;
        Ok(sent)
    }
}

/// The file of a form; `None` if no file was chosen.
#[derive(Debug)]
pub(super) struct Uploaded(pub(super) Option<Bytes>);

impl FromRequest<Node> for Uploaded {
    type Rejection = Problem;

    async fn from_request(request: Request, node: &Node) -> Result<Self, Problem> {
        let visitor = request.extensions().get::<AdminUser>().cloned().ok_or_else(signed_out_problem)?;
        let parts = Multipart::from_request(request, node).await;
        let mut parts = parts.map_err(|error| Problem::bad_request(error.body_text()))?;
        let (mut sent, mut file) = (FormData(Vec::new()), None);
        let broken = |error: axum::extract::multipart::MultipartError| {
            read_problem(&error).unwrap_or_else(|| Problem::new(error.status(), "body", error.body_text()))
        };
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            let name = part.name().unwrap_or_default().to_owned();
            if part.file_name().is_some() {
                // Every form has the token before the file, so a foreign file is never read.
                sent.check(&visitor)?;
                let bytes = part.bytes().await.map_err(broken)?;
                file = Some(bytes).filter(|bytes| !bytes.is_empty());
            } else if sent.0.len() < MAX_FORM_FIELDS {
                sent.0.push((name, part.text().await.map_err(broken)?));
            } else {
                return Err(too_many());
            }
        }
        sent.check(&visitor)?;
        Ok(Self(file))
    }
}
