//! Drawings of the products, for lists and for lines without a picture.

use maud::{Markup, PreEscaped, html};

const RING: &str = r##"<ellipse cx="100" cy="112" rx="58" ry="52" fill="none" stroke="#c3cad4" stroke-width="16"/><ellipse cx="100" cy="112" rx="58" ry="52" fill="none" stroke="#eef1f5" stroke-width="5"/><path d="M78 52 L100 26 L122 52 L100 66 Z" fill="#8fb7ef" stroke="#5d8fd6" stroke-width="3" stroke-linejoin="round"/>"##;
const SHIRT: &str = r##"<path d="M72 34 L38 54 L24 92 L50 100 L56 84 L56 166 L144 166 L144 84 L150 100 L176 92 L162 54 L128 34 C122 52 78 52 72 34 Z" fill="#c8323c" stroke="#9c222b" stroke-width="3" stroke-linejoin="round"/>"##;
const WARDROBE: &str = r##"<rect x="44" y="24" width="112" height="146" rx="4" fill="#e3c69c" stroke="#b08a57" stroke-width="3"/><path d="M100 24 V170" stroke="#b08a57" stroke-width="3"/><path d="M91 96 V112 M109 96 V112" stroke="#6d5331" stroke-width="5" stroke-linecap="round"/><path d="M54 170 V178 M146 170 V178" stroke="#6d5331" stroke-width="8"/>"##;
const JEWEL: &str = r##"<path d="M34 16 C50 78 84 92 96 96 M166 16 C150 78 116 92 104 96" fill="none" stroke="#c9a24a" stroke-width="3" stroke-dasharray="2 5" stroke-linecap="round"/><circle cx="100" cy="98" r="7" fill="none" stroke="#c9a24a" stroke-width="4"/><path d="M100 106 L66 178 H82 L88 162 H112 L118 178 H134 Z M93 149 L100 131 L107 149 Z" fill="#dba83a" fill-rule="evenodd"/>"##;
const PENDANT: &str = r##"<path d="M34 16 C50 78 84 88 96 92 M166 16 C150 78 116 88 104 92" fill="none" stroke="#b9c0ca" stroke-width="3" stroke-dasharray="2 5" stroke-linecap="round"/><path d="M100 176 C44 138 50 98 80 98 C92 98 98 106 100 113 C102 106 108 98 120 98 C150 98 156 138 100 176 Z" fill="#d99a86"/>"##;
const BOX: &str = r##"<path d="M40 66 L100 36 L160 66 V138 L100 168 L40 138 Z" fill="#dde3ea" stroke="#a9b3c0" stroke-width="3" stroke-linejoin="round"/><path d="M40 66 L100 96 L160 66 M100 96 V168" fill="none" stroke="#a9b3c0" stroke-width="3"/>"##;

/// Returns the drawing of a product, or a box if it has none. Drawings are decorative: the text beside them says the
/// same.
pub(super) fn of(product: &str) -> Markup {
    let drawing = match product {
        "ring" => RING,
        "shirt" => SHIRT,
        "wardrobe" => WARDROBE,
        "jewel" => JEWEL,
        "pendant" => PENDANT,
        _ => BOX,
    };
    html! { svg.drawing viewBox="0 0 200 200" aria-hidden="true" { (PreEscaped(drawing)) } }
}
