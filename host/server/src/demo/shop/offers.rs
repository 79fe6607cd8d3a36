//! What offers were asked for.

use axum::response::Response;
use maud::html;

use super::line::families;
use super::{Visit, cart};

pub(super) async fn show(visit: Visit) -> Response {
    let shop = visit.shop();
    let book = visit.book().await;
    let content = html! {
        h1 { "Offers" }
        @if book.asked.is_empty() {
            p { "You have not asked for an offer yet. Configure a " a href=(shop.path("")) { "product" } " and ask for one there." }
        } @else {
            p.about { "You asked for these. We answer with a price and say until when it holds." }
        }
        @for asked in book.asked.iter().rev() {
            ul.lines {
                @for (line, children) in families(asked) {
                    li.line { (cart::summary(shop, line, &children)) p.state { "Asked for " (line.seen.quantity) } }
                }
            }
        }
    };
    visit.page("Offers", &book.cart, content)
}
