//! Installs axe-core, which checks the accessibility of pages (WCAG 2.2, levels A and AA).

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The files that pin the version and its digest.
const MANIFESTS: [(&str, &str); 2] = [
    ("package.json", include_str!("../axe/package.json")),
    ("package-lock.json", include_str!("../axe/package-lock.json")),
];

/// The presentations in which a page is checked.
pub(crate) const PRESENTATIONS: [Presentation; 4] = [
    Presentation { width: 1280, color_scheme: "light" },
    Presentation { width: 1280, color_scheme: "dark" },
    Presentation { width: 375, color_scheme: "light" },
    Presentation { width: 375, color_scheme: "dark" },
];

/// Options of axe-core.
///
/// Frames are excluded: a vendor's own frame is the vendor's to fix. Its title is checked. Nothing is preloaded: that
/// is for rotated pages and media, and would violate the page's Content-Security-Policy on the console.
const OPTIONS: &str = "{ iframes: false, preload: false, rules: { 'target-size': { enabled: true } } }";
/// Options of axe-core for the dark scheme, which differs from the light one by its colors only.
const COLOR_OPTIONS: &str = "{ iframes: false, preload: false, runOnly: ['color-contrast', 'link-in-text-block'] }";

/// Returns a text for each element that violates a rule. Opens collapsed parts meanwhile, because axe-core ignores
/// hidden elements. Waits for the page to follow a change of its presentation, and ends its transitions.
const CHECK: &str = r"
const frame = () => new Promise((done) => requestAnimationFrame(done));
return frame().then(frame).then(() => {
  for (const animation of document.getAnimations()) animation.cancel();
  const folded = document.querySelectorAll('details:not([open])');
  for (const details of folded) details.open = true;
  return axe.run(document, options)
    .then(({ violations }) => violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, impact, help, nodes }) => nodes.map(({ target, html, failureSummary }) =>
        `${id} (${impact}): ${help}: ${target.join(' ')}: ${html.slice(0, 200)}: ${failureSummary.replace(/\s+/g, ' ')}`)))
    .finally(() => { for (const details of folded) details.open = false; });
});
";

/// A width of the viewport, in CSS pixels, and a color scheme.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Presentation {
    pub(crate) width: u32,
    pub(crate) color_scheme: &'static str,
}

/// An installed axe-core. [`Browser::violations`](crate::Browser::violations) runs it.
#[derive(Debug, Clone, Copy)]
pub struct Axe {
    script: &'static str,
}

impl Axe {
    /// Installs axe-core with npm below a folder, unless it is installed. Returns `None`, with a line on standard
    /// error, if that fails.
    ///
    /// # Panics
    /// If it cannot be installed and `CI` is "true".
    pub fn install(folder: impl AsRef<Path>) -> Option<Self> {
        static SCRIPT: OnceLock<Option<String>> = OnceLock::new();
        let script = SCRIPT.get_or_init(|| match script(&folder.as_ref().join("axe")) {
            Ok(script) => Some(script),
            Err(reason) => {
                let missing = format!("axe-core cannot be installed: {reason}");
                assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{missing}");
                // Written past the capture of passing tests, so that a skipped test is visible.
                writeln!(std::io::stderr(), "skipped: {missing}").expect("standard error");
                None
            }
        });
        script.as_deref().map(|script| Self { script })
    }

    /// Returns the body of a function that checks the current page in a presentation. The first one loads axe-core into
    /// the page, where the others find it.
    pub(crate) fn check(self, number: usize, presentation: Presentation) -> String {
        let script = if number == 0 { self.script } else { "" };
        let options = if presentation.color_scheme == "dark" { COLOR_OPTIONS } else { OPTIONS };
        format!("{script}\nconst options = {options};\n{CHECK}")
    }
}

/// Returns the script of axe-core after installing it in a folder.
fn script(folder: &Path) -> Result<String, String> {
    let script = folder.join("node_modules/axe-core/axe.min.js");
    let is_current =
        |(name, text): &(&str, &str)| std::fs::read_to_string(folder.join(name)).is_ok_and(|now| now == *text);
    if !script.exists() || !MANIFESTS.iter().all(is_current) {
        install(folder)?;
    }
    std::fs::read_to_string(&script).map_err(|error| format!("{}: {error}", script.display()))
}

fn install(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // Otherwise a failed install would leave another version's script beside these manifests.
    drop(std::fs::remove_dir_all(folder.join("node_modules")));
    for (name, text) in MANIFESTS {
        std::fs::write(folder.join(name), text).map_err(|error| format!("{name}: {error}"))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    match npm.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("npm ci: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("npm does not start (Debian: apt-get install npm): {error}")),
    }
}
