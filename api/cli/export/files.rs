//! The files of an export under way: written once from front to back, hashed and synced.
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use store::books::{Books, Syntax};
use store::export::json_line;
use store::export::{ENTRIES, Field, Scope, Watch, csv_header, csv_line, entry_rows, event_row};
use store::{Block, Escrow, HistoryEvent};

use super::{FileOf, Format};
use crate::exit::{Failure, Outcome, local, stopped};

/// Bytes that are held back before they are written.
const BUFFER: usize = 64 * 1024;

/// Where events go.
pub enum Sink {
    Tables(Tables),
    Books(Box<Written>),
}

/// One file for each kind of event, and one of double entries.
pub struct Tables {
    format: Format,
    escrow: Escrow,
    range: (u64, u64),
    folder: PathBuf,
    files: BTreeMap<&'static str, Table>,
}

struct Table {
    name: String,
    rows: u64,
    to: Rows,
}

enum Rows {
    Text(Hashed),
    #[cfg(feature = "parquet")]
    Parquet(Box<store::export::parquet::Table<Hashed>>),
}

/// Plain-text books in one file.
pub struct Written {
    books: Books,
    name: String,
    path: PathBuf,
    range: (u64, u64),
    transactions: u64,
    /// None until the first event of the range.
    to: Option<Hashed>,
}

/// Hashes and counts what goes to the file.
pub struct Hashed {
    file: BufWriter<File>,
    sum: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(part)?;
        self.sum.update(&part[..written]);
        self.bytes += u64::try_from(written).unwrap_or_default();
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Hashed {
    fn create(path: &Path) -> Outcome<Self> {
        let file = File::create_new(path).map_err(local(format!("making {}", path.display())))?;
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { file, sum: Sha256::new(), bytes: 0 })
    }

    fn add(&mut self, text: &str) -> Outcome {
        self.write_all(text.as_bytes()).map_err(local("writing the export"))
    }

    fn end(mut self, name: String, rows: u64) -> Outcome<FileOf> {
        self.flush().map_err(local("writing the export"))?;
        self.file.get_ref().sync_all().map_err(local("writing the export"))?;
        Ok(FileOf { name, rows, bytes: self.bytes, sha256: hex(self.sum) })
    }
}

impl Sink {
    pub fn new(
        format: Format,
        escrow: &Escrow,
        scope: Scope,
        range: (u64, u64),
        folder: &Path,
    ) -> Sink {
        let (syntax, ending) = match format {
            Format::Csv | Format::Jsonl | Format::Parquet => {
                let (escrow, folder) = (escrow.clone(), folder.to_owned());
                let files = BTreeMap::new();
                return Sink::Tables(Tables { format, escrow, range, folder, files });
            }
            Format::Beancount => (Syntax::Beancount, "beancount"),
            Format::Hledger => (Syntax::Hledger, "journal"),
        };
        let name = format!("books-{}-{}.{ending}", range.0, range.1);
        let path = folder.join(&name);
        let books = Books::new(syntax, escrow, scope);
        Sink::Books(Box::new(Written { books, name, path, range, transactions: 0, to: None }))
    }

    /// Whether events before the range count: books begin with the balances that they left.
    pub fn needs_past(&self) -> bool {
        match self {
            Sink::Tables(_) => false,
            Sink::Books(_) => true,
        }
    }

    pub fn skip(&mut self, told: &HistoryEvent, block: &Block, watch: &Watch) -> Outcome {
        match self {
            Sink::Tables(_) => Ok(()),
            Sink::Books(written) => written.books.skip(told, block, watch).map_err(stopped),
        }
    }

    pub fn add(&mut self, told: &HistoryEvent, block: &Block, watch: &Watch) -> Outcome {
        match self {
            Sink::Tables(tables) => {
                tables.add(told.kind(), event_row(&tables.escrow, told, block))?;
                for row in entry_rows(&tables.escrow, told, block).map_err(stopped)? {
                    tables.add(ENTRIES, row)?;
                }
                Ok(())
            }
            Sink::Books(written) => {
                written.begin()?;
                let text = written.books.post(told, block, watch).map_err(stopped)?;
                written.transactions += u64::from(!text.is_empty());
                written.add(&text)
            }
        }
    }

    /// Everything is on the disk afterwards.
    pub fn end(self) -> Outcome<Vec<FileOf>> {
        match self {
            Sink::Tables(tables) => tables.files.into_values().map(Table::end).collect(),
            Sink::Books(mut written) => {
                written.begin()?;
                let text = written.books.end();
                written.add(&text)?;
                let Written { name, transactions, to, .. } = *written;
                to.into_iter().map(|to| to.end(name.clone(), transactions)).collect()
            }
        }
    }
}

impl Written {
    fn begin(&mut self) -> Outcome {
        if self.to.is_none() {
            self.to = Some(Hashed::create(&self.path)?);
            let (from, to) = self.range;
            let text = self.books.begin(from, to).map_err(stopped)?;
            self.add(&text)?;
        }
        Ok(())
    }

    fn add(&mut self, text: &str) -> Outcome {
        self.to.as_mut().map_or(Ok(()), |to| to.add(text))
    }
}

impl Tables {
    fn add(&mut self, kind: &'static str, row: Vec<Field>) -> Outcome {
        if !self.files.contains_key(kind) {
            let table = self.begin(kind, &row)?;
            self.files.insert(kind, table);
        }
        let Some(table) = self.files.get_mut(kind) else { return Ok(()) };
        table.rows += 1;
        let decimals = self.escrow.decimals;
        match (&mut table.to, self.format) {
            (Rows::Text(to), Format::Jsonl) => to.add(&json_line(&row, decimals)),
            (Rows::Text(to), _) => to.add(&csv_line(&row, decimals)),
            #[cfg(feature = "parquet")]
            (Rows::Parquet(to), _) => to.add(row).map_err(stopped),
        }
    }

    fn begin(&self, kind: &str, first: &[Field]) -> Outcome<Table> {
        let ending = match self.format {
            Format::Jsonl => "jsonl",
            Format::Parquet => "parquet",
            Format::Csv | Format::Beancount | Format::Hledger => "csv",
        };
        let name = format!("{kind}-{}-{}.{ending}", self.range.0, self.range.1);
        let mut to = Hashed::create(&self.folder.join(&name))?;
        #[cfg(feature = "parquet")]
        if self.format == Format::Parquet {
            let decimals = self.escrow.decimals;
            let to = store::export::parquet::Table::begin(to, first, decimals).map_err(stopped)?;
            return Ok(Table { name, rows: 0, to: Rows::Parquet(Box::new(to)) });
        }
        if self.format == Format::Csv {
            to.add(&csv_header(first))?;
        }
        Ok(Table { name, rows: 0, to: Rows::Text(to) })
    }
}

impl Table {
    fn end(self) -> Outcome<FileOf> {
        self.to.ended()?.end(self.name, self.rows)
    }
}

impl Rows {
    /// The file, with all that its format writes last.
    fn ended(self) -> Outcome<Hashed> {
        match self {
            Rows::Text(to) => Ok(to),
            #[cfg(feature = "parquet")]
            Rows::Parquet(to) => to.end().map_err(stopped),
        }
    }
}

/// Refuses a format that this program was built without.
pub fn is_built(format: Format) -> Outcome {
    if format == Format::Parquet && !cfg!(feature = "parquet") {
        let message = "this program was built without Parquet";
        let hint = "build it with `cargo build --release --features parquet`, or export csv or \
                    jsonl";
        return Err(Failure::usage(message, hint));
    }
    Ok(())
}

pub fn write_synced(path: &Path, bytes: &[u8]) -> Outcome {
    let doing = || format!("writing {}", path.display());
    let mut file = File::create_new(path).map_err(local(doing()))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(local(doing()))
}

/// A temporary folder is its owner's alone; an export is as readable as any new folder.
#[cfg(unix)]
pub fn open_to_readers(folder: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let rights = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder, rights).map_err(local("putting the export in place"))
}

#[cfg(not(unix))]
pub fn open_to_readers(_: &Path) -> Outcome {
    Ok(())
}

/// SHA-256 of a file, in hex.
pub fn sum_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let (mut sum, mut part) = (Sha256::new(), vec![0; BUFFER]);
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hex(sum)),
            count => sum.update(&part[..count]),
        }
    }
}

fn hex(sum: Sha256) -> String {
    alloy::primitives::hex::encode(sum.finalize())
}
