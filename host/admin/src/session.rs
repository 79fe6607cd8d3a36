//! Who looks at a page, and what a form of a page sent.
//!
//! Another site's page could have a visitor's browser send a form here. It cannot read this host's pages, so it cannot know the
//! session's token, which every form holds; [`FormData`] and [`Uploaded`], the only ways to read a form, ask for it. The cookie is not sent
//! with another site's forms in the first place, and what says to come from another origin is refused.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Request, State};
use axum::http::header::{HOST, HeaderMap, ORIGIN};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use cartwright::ShopId;
use cartwright_http::access::{Caller, client_ip};
use cartwright_http::body;
use cartwright_http::extract::{Raw, read_problem, require_media_type};
use cartwright_http::{Node, Problem};
use cartwright_service::input;
use cartwright_store::{AccessError, Session};
use jiff::civil::Date;
use url::Url;
use url::form_urlencoded;

use super::entry::wrong;
use super::layout::address;
use super::open_items::OpenItems;

/// The most fields of a form: a few letters of a body are one, and each takes many times as much.
const MAX_FORM_FIELDS: usize = 10_000;

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub(super) struct AdminUser {
    pub(super) caller: Caller,
    session: Session,
    /// Where they are.
    pub(super) at: Uri,
    /// The shop whose pages they are at; elsewhere, the shop that their key is bound to.
    pub(super) shop: Option<ShopId>,
    /// What is open in the shop whose pages they are at.
    pub(super) open: OpenItems,
    /// The shops that they can choose among: an admin's are all.
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

    /// What every form of the session's pages holds.
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

/// Returns the shop that the path of a page names, where there is such a shop and the caller may see it.
fn shop_of(node: &Node, caller: &Caller, path: &str) -> Option<ShopId> {
    let id = path.strip_prefix("/admin/shops/")?.split('/').next()?;
    let shop: ShopId = id.parse().ok()?;
    let is_theirs = caller.shop().is_none_or(|own| *own == shop);
    (is_theirs && node.host().shop(&shop).is_ok()).then_some(shop)
}

fn signed_out_problem() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "access", "sign in")
}

/// Where a request came from, as far as that is known.
pub(super) struct ClientIp(pub(super) Option<IpAddr>);

impl FromRequestParts<Node> for ClientIp {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Node) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<IpAddr>().copied()))
    }
}

/// Finds out who looks at a page.
pub(super) async fn identify(State(node): State<Node>, mut request: Request, next: Next) -> Response {
    if !request.method().is_safe()
        && let Some(problem) = foreign_origin(&node, request.headers())
    {
        return problem.into_response();
    }
    let from = client_ip(&node, &request);
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
    // For what draws problems, outside of this.
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

/// The kind of problem that a form of another origin is refused with.
pub(super) const ORIGIN_PROBLEM: &str = "origin";

/// Returns why a form may be another site's. Browsers say which page sends it; what says nothing is no browser, and has no cookie either.
///
/// A proxy may give the host another name than the browser knows. Then its own forms look like another site's, so the answer says what
/// differs and who can mend it.
fn foreign_origin(node: &Node, headers: &HeaderMap) -> Option<Problem> {
    let origin = String::from_utf8_lossy(headers.get(ORIGIN)?.as_bytes());
    let host = headers.get(HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
    if let Ok(origin) = Url::parse(&origin) {
        // As the browser spells it: a proxy may add the port that is the scheme's own.
        let asked = host.as_ref().and_then(|host| Url::parse(&format!("{}://{host}/", origin.scheme())).ok());
        if node.admin_url().origin() == origin.origin() || asked.is_some_and(|asked| asked.origin() == origin.origin())
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

/// The cookie's name tells browsers what to hold it to: `__Host-` means TLS, this host alone and the path "/"; `__Secure-` means TLS.
fn cookie_name(node: &Node) -> &'static str {
    match (node.admin_url().is_secure(), node.admin_url().prefix()) {
        (false, _) => "cartwright",
        (true, "") => "__Host-cartwright",
        (true, _) => "__Secure-cartwright",
    }
}

/// The cookie that holds a session: scripts cannot read it, other sites' forms do not bring it, and it goes with the browser.
pub(super) fn cookie(node: &Node, session: String) -> Cookie<'static> {
    let cookie =
        Cookie::build((cookie_name(node), session)).path(address("/")).http_only(true).same_site(SameSite::Lax);
    cookie.secure(node.admin_url().is_secure()).build()
}

/// The session's text, of who has one.
pub(super) fn session(node: &Node, headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers).get(cookie_name(node)).map(|cookie| cookie.value().to_owned())
}

/// What a form sent, by the names of its fields.
#[derive(Debug)]
pub(super) struct FormData(Vec<(String, String)>);

impl FormData {
    /// A field's text without spaces around it; empty when it was not sent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map(|(_, text)| text.trim()).unwrap_or_default()
    }

    /// A field's text as it was sent; lines end as they do here.
    pub(super) fn raw(&self, name: &str) -> String {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map(|(_, text)| text.replace("\r\n", "\n")).unwrap_or_default()
    }

    /// All texts of a field.
    pub(super) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, text)| text.trim())
    }

    /// The values of a list that has one in a line, as [`typed::lines`] writes them.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        self.lines(name).map(input::value).collect()
    }

    /// A whole number.
    pub(super) fn whole<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Problem> {
        let text = self.read::<String>(name)?;
        input::whole(&text).map_err(|reason| wrong(name, reason))
    }

    /// The lines of a field that say something.
    pub(super) fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.texts(name).flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty())
    }

    /// Was a box ticked?
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// A field's text as what it stands for; none when it is empty.
    pub(super) fn optional<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|error: T::Err| wrong(name, error.to_string()))
    }

    /// A field's text as what it stands for.
    pub(super) fn read<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Problem> {
        self.optional(name)?.ok_or_else(|| wrong(name, "Enter a value."))
    }

    /// A day; none when it is empty.
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

/// A form as it came, of somebody who has not signed in.
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

/// The file of a form; none when no file was chosen.
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
                // The token stands before the file in every form: nobody else's file is read.
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

/// Goes on to a page that says that it was done.
pub(super) fn redirect_with_notice(path: &str, what: super::layout::Done) -> Redirect {
    Redirect::to(&format!("{path}?done={}", what.name()))
}
