//! Other languages can spell the contract: no name is a reserved word of a language that plugins are written in, and the
//! generators of C, C# and Go bindings write every name as the contract does.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

use std::collections::BTreeSet;
use std::path::Path;

use wit_parser::{Resolve, TypeDefKind};

/// Reserved words of each language, those of more than one word or with a capital letter left out: no name of the contract is
/// spelled so.
const LANGUAGES: [(&str, &str); 6] = [
    // ISO/IEC 9899:2024 (C23), 6.4.1, and cppreference.com, "C++ keywords": the generator escapes both, because its header is for
    // both.
    (
        "C",
        "alignas alignof and and_eq asm atomic_cancel atomic_commit atomic_noexcept auto bitand bitor bool break case catch char \
         char8_t char16_t char32_t class co_await co_return co_yield compl concept const const_cast consteval constexpr constinit \
         continue contract_assert decltype default delete do double dynamic_cast else enum explicit export extern false float for \
         friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected \
         public reflexpr register reinterpret_cast requires restrict return short signed sizeof static static_assert static_cast \
         struct switch synchronized template this thread_local throw true try typedef typeid typename typeof typeof_unqual union \
         unsigned using virtual void volatile wchar_t while xor xor_eq",
    ),
    // Microsoft, C# language reference, "C# keywords": those that are reserved everywhere.
    (
        "C#",
        "abstract as base bool break byte case catch char checked class const continue decimal default delegate do double else \
         enum event explicit extern false finally fixed float for foreach goto if implicit in int interface internal is lock long \
         namespace new null object operator out override params private protected public readonly ref return sbyte sealed short \
         sizeof stackalloc static string struct switch this throw true try typeof uint ulong unchecked unsafe ushort using virtual \
         void volatile while",
    ),
    // The Go Programming Language Specification, "Keywords".
    (
        "Go",
        "break case chan const continue default defer else fallthrough for func go goto if import interface map package range \
         return select struct switch type var",
    ),
    // The Java Language Specification, Java SE 21 Edition, 3.9, with its literals.
    (
        "Java",
        "abstract assert boolean break byte case catch char class const continue default do double else enum extends false final \
         finally float for goto if implements import instanceof int interface long native new null package private protected \
         public return short static strictfp super switch synchronized this throw throws transient true try void volatile while",
    ),
    // ECMA-262, 15th edition, 12.7.2 and 13.1.1, in strict mode: modules are always strict.
    (
        "JavaScript",
        "arguments await break case catch class const continue debugger default delete do else enum eval export extends false \
         finally for function if implements import in instanceof interface let new null package private protected public return \
         static super switch this throw true try typeof var void while with yield",
    ),
    // The Python Language Reference, 3.14, 2.3.1. Soft keywords are names.
    (
        "Python",
        "and as assert async await break class continue def del elif else except finally for from global if import in is lambda \
         nonlocal not or pass raise return try while with yield",
    ),
];

/// Names that are reserved words of some languages all the same, with what that costs there.
const EXCEPTIONS: [(&str, &[&str], &str); 5] = [
    ("orders.handle.event", &["C#"], "`@event` is how C# writes a parameter of this name"),
    ("settings.choice-source.fixed", &["C#"], "`ChoiceSource.@fixed`: in lower case among cases in capitals"),
    ("types.call-error.internal", &["C#"], "`CallError.@internal`: in lower case among cases in capitals"),
    ("types.setting-value.boolean", &["Java"], "a case is a class in Java, or a constant in capitals"),
    ("types.setting-value.decimal", &["C#"], "`SettingValue.@decimal`: in lower case among cases in capitals"),
];

#[test]
fn no_name_is_a_reserved_word_without_a_reason() {
    let mut found = Vec::new();
    for name in names(&contract()) {
        let spelled = name.word.replace('-', "_");
        let reserved = LANGUAGES.iter().filter(|(_, words)| words.split_whitespace().any(|word| word == spelled));
        let languages: Vec<&str> = reserved.map(|(language, _)| *language).collect();
        if !languages.is_empty() {
            found.push((name.path(), languages));
        }
    }
    found.sort();
    let expected: Vec<(String, Vec<&str>)> =
        EXCEPTIONS.iter().map(|(path, languages, _)| ((*path).to_owned(), languages.to_vec())).collect();
    assert_eq!(found, expected, "reserved words in the contract, against the exceptions");
}

#[test]
fn c_bindings_spell_every_name_as_the_contract_does() {
    let header = generated("c", ".h");
    let words = words(&header);
    let macros = |suffix: String| words.iter().any(|word| word.ends_with(&suffix));
    expect_all(|name| {
        let word = snake(&name.word);
        match name.role {
            Role::Interface | Role::Function => words.iter().any(|declared| declared.contains(&word)),
            Role::Field => words.contains(&word),
            Role::Parameter => words.contains(&word) || words.contains(&format!("maybe_{word}")),
            Role::VariantCase | Role::EnumCase => macros(format!("_{}_{}", snake(&name.of), word).to_ascii_uppercase()),
        }
    });
    let escaped = |name: &Name| words.contains(&format!("{}_", snake(&name.word)));
    assert_eq!(escaped_names(escaped), exceptions("C"));
    let definitions = header.iter().flat_map(|(_, text)| text.lines()).filter_map(|line| line.strip_prefix("#define "));
    assert_no_duplicates("C", definitions.filter_map(|line| line.split(' ').next()));
}

#[test]
fn c_sharp_bindings_spell_every_name_as_the_contract_does() {
    let words = words(&generated("csharp", ".cs"));
    expect_all(|name| {
        let word = &name.word;
        match name.role {
            Role::Interface => words.iter().any(|declared| declared.contains(&upper_camel(word))),
            Role::Function | Role::VariantCase => words.contains(&upper_camel(word)),
            Role::Field | Role::Parameter => words.contains(&lower_camel(word)),
            Role::EnumCase => words.contains(&snake(word).to_ascii_uppercase()),
        }
    });
    assert_eq!(escaped_names(|name| words.contains(&format!("@{}", name.word))), exceptions("C#"));
}

#[test]
fn go_bindings_spell_every_name_as_the_contract_does() {
    let files = generated("go", ".go");
    let words = words(&files);
    expect_all(|name| {
        let word = &name.word;
        match name.role {
            Role::Interface => words.iter().any(|declared| declared.contains(&snake(word))),
            Role::Function | Role::Field => words.contains(&upper_camel(word)),
            // The generator numbers parameters, and an author names them in the function that it calls.
            Role::Parameter => true,
            Role::VariantCase | Role::EnumCase => words.contains(&(upper_camel(&name.of) + &upper_camel(word))),
        }
    });
    // Go has one namespace for a package's types, functions and constants, and a constant is its type's name before its own.
    for (file, text) in &files {
        assert_no_duplicates(file, text.lines().filter_map(go_declaration));
    }
}

/// What a name is the name of.
#[derive(Clone, Copy)]
enum Role {
    Interface,
    Function,
    Parameter,
    Field,
    VariantCase,
    EnumCase,
}

/// A name of the contract.
struct Name {
    role: Role,
    interface: String,
    /// The type or function that it belongs to; empty for an interface and a function.
    of: String,
    word: String,
}

impl Name {
    fn path(&self) -> String {
        match self.role {
            Role::Interface => self.word.clone(),
            Role::Function => format!("{}.{}", self.interface, self.word),
            _ => format!("{}.{}.{}", self.interface, self.of, self.word),
        }
    }
}

/// Returns the names that an author writes. A type's name is not among them: every language capitalizes it or puts something
/// around it.
fn names(resolve: &Resolve) -> Vec<Name> {
    let mut names = Vec::new();
    for (_, interface) in resolve.interfaces.iter() {
        let interface_name = interface.name.as_deref().expect("every interface has a name");
        let mut add = |role: Role, of: &str, word: &str| {
            let (interface, of, word) = (interface_name.to_owned(), of.to_owned(), word.to_owned());
            names.push(Name { role, interface, of, word });
        };
        add(Role::Interface, "", interface_name);
        for function in interface.functions.values() {
            add(Role::Function, "", &function.name);
            function.params.iter().for_each(|parameter| add(Role::Parameter, &function.name, &parameter.name));
        }
        // A type that an interface uses of another one is an alias and adds no names.
        for (name, ty) in &interface.types {
            match &resolve.types[*ty].kind {
                TypeDefKind::Record(record) => {
                    record.fields.iter().for_each(|field| add(Role::Field, name, &field.name));
                }
                TypeDefKind::Variant(variant) => {
                    variant.cases.iter().for_each(|case| add(Role::VariantCase, name, &case.name));
                }
                TypeDefKind::Enum(cases) => cases.cases.iter().for_each(|case| add(Role::EnumCase, name, &case.name)),
                _ => {}
            }
        }
    }
    names
}

fn contract() -> Resolve {
    let mut resolve = Resolve::default();
    resolve
        .push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/0.1"))
        .expect("the contract is well formed");
    resolve
}

/// Returns the names and texts of the files with this ending that the build script generated into a folder.
fn generated(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut folders = vec![Path::new(env!("OUT_DIR")).join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.to_string_lossy().ends_with(ending) {
                _ if path.is_dir() => folders.push(path),
                true => files.push((path.display().to_string(), std::fs::read_to_string(&path).expect("a text"))),
                false => {}
            }
        }
    }
    files
}

/// Returns the identifiers of sources, comments left out.
fn words(files: &[(String, String)]) -> BTreeSet<String> {
    let lines = files.iter().flat_map(|(_, text)| text.lines().map(str::trim_start));
    let code = lines.filter(|line| !["//", "/*", "* "].iter().any(|comment| line.starts_with(comment)));
    let is_separator = |char: char| !char.is_ascii_alphanumeric() && char != '_' && char != '@';
    code.flat_map(|line| line.split(is_separator)).map(str::to_owned).collect()
}

/// Checks that every name but the exceptions is spelled as it should be.
#[track_caller]
fn expect_all(is_spelled: impl Fn(&Name) -> bool) {
    let exceptions: BTreeSet<&str> = EXCEPTIONS.iter().map(|(path, ..)| *path).collect();
    let names = names(&contract());
    let missing = names.iter().filter(|name| !is_spelled(name)).map(Name::path);
    let missing: Vec<String> = missing.filter(|path| !exceptions.contains(path.as_str())).collect();
    assert!(missing.is_empty(), "these names are spelled otherwise:\n{}", missing.join("\n"));
}

/// Returns the words of the contract that a generator escaped.
fn escaped_names(is_escaped: impl Fn(&Name) -> bool) -> BTreeSet<String> {
    names(&contract()).into_iter().filter(is_escaped).map(|name| name.word).collect()
}

/// Returns the words that are exceptions in a language.
fn exceptions(language: &str) -> BTreeSet<String> {
    let here = EXCEPTIONS.iter().filter(|(_, languages, _)| languages.contains(&language));
    here.filter_map(|(path, ..)| path.rsplit('.').next()).map(str::to_owned).collect()
}

#[track_caller]
fn assert_no_duplicates<'a>(place: &str, names: impl Iterator<Item = &'a str>) {
    let mut seen = BTreeSet::new();
    let duplicates: Vec<&str> = names.filter(|name| !seen.insert(*name)).collect();
    assert!(duplicates.is_empty(), "{place} declares these twice: {duplicates:?}");
}

/// Returns the name of a type, a function or a constant of an enum or a variant that a line of Go declares in its package.
fn go_declaration(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let declared = line.strip_prefix("type ").or_else(|| line.strip_prefix("func "));
    if let Some(rest) = declared {
        return rest.split([' ', '(']).next().filter(|name| !name.is_empty());
    }
    let mut parts = line.split(' ');
    let (name, ty, sign) = (parts.next()?, parts.next()?, parts.next()?);
    (ty.starts_with("uint") && sign == "=").then_some(name)
}

fn snake(word: &str) -> String {
    word.replace('-', "_")
}

fn upper_camel(word: &str) -> String {
    let capitalized = |part: &str| part[..1].to_ascii_uppercase() + &part[1..];
    word.split('-').map(capitalized).collect()
}

fn lower_camel(word: &str) -> String {
    let camel = upper_camel(word);
    camel[..1].to_ascii_lowercase() + &camel[1..]
}
