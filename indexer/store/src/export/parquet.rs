//! pure: rows of a table as Parquet, with exact decimals; a row group for some thousand rows.

use std::io::Write;
use std::sync::Arc;

use contracts::Amount;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    Int64Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use super::{Cell, Field, float};

/// Rows that are held until they are written as one group.
const GROUP_ROWS: usize = 4_096;
/// Digits of the widest decimal that readers take; an amount has 29.
pub const DECIMAL_DIGITS: u8 = 38;

/// One file under way.
pub struct Table<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    decimals: u8,
    rows: Vec<Vec<Field>>,
}

impl<W: Write + Send> Table<W> {
    /// Columns are those of `first`, which is not written yet.
    pub fn begin(to: W, first: &[Field], decimals: u8) -> Result<Self> {
        if decimals > DECIMAL_DIGITS {
            let what = format!("the token has {decimals} decimals, Parquet at most 38; export CSV");
            return Err(ParquetError::General(what));
        }
        let schema = Arc::new(parse_message_type(&schema(first, decimals))?);
        let writer = SerializedFileWriter::new(to, schema, Arc::default())?;
        Ok(Self { writer, decimals, rows: vec![] })
    }

    pub fn add(&mut self, row: Vec<Field>) -> Result<()> {
        self.rows.push(row);
        if self.rows.len() >= GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    /// Writes what is left and the footer, and gives the file back.
    pub fn end(mut self) -> Result<W> {
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        self.writer.into_inner()
    }

    fn write_group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.writer.next_row_group()?;
        for column in 0..rows.first().map_or(0, Vec::len) {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let cells: Vec<&Cell> = cells.map(|(_, cell)| cell).collect();
            let parts = if matches!(cells.first(), Some(Cell::Amount(_))) { 3 } else { 1 };
            for part in 0..parts {
                let Some(mut writer) = group.next_column()? else {
                    return Err(ParquetError::General(
                        "a row has more columns than its table".into(),
                    ));
                };
                write_column(&mut writer, &cells, part, self.decimals)?;
                writer.close()?;
            }
        }
        group.close()?;
        Ok(())
    }
}

fn schema(row: &[Field], decimals: u8) -> String {
    let mut columns = String::new();
    for (name, cell) in row {
        columns.push_str(&match cell {
            Cell::Number(_) => format!("REQUIRED INT64 {name};\n"),
            Cell::Flag(_) => format!("REQUIRED BOOLEAN {name};\n"),
            Cell::Text(_) => format!("REQUIRED BINARY {name} (UTF8);\n"),
            Cell::Amount(_) => format!(
                "REQUIRED BINARY {name} (UTF8);\n\
                 REQUIRED FIXED_LEN_BYTE_ARRAY (16) {name}_decimal \
                 (DECIMAL({DECIMAL_DIGITS},{decimals}));\n\
                 REQUIRED DOUBLE {name}_float;\n"
            ),
        });
    }
    format!("message rows {{\n{columns}}}\n")
}

/// All values of a column of one group; an amount has three columns, numbered by `part`.
fn write_column(
    writer: &mut SerializedColumnWriter<'_>,
    cells: &[&Cell],
    part: u8,
    decimals: u8,
) -> Result<()> {
    let amounts = || {
        cells.iter().map(|cell| match cell {
            Cell::Amount(amount) => *amount,
            Cell::Number(_) | Cell::Flag(_) | Cell::Text(_) => Amount::ZERO,
        })
    };
    match (cells.first(), part) {
        (None, _) => {}
        (Some(Cell::Number(_)), _) => {
            let values = cells.iter().map(|cell| match cell {
                // Every number in the store has 63 bits.
                Cell::Number(number) => i64::try_from(*number).unwrap_or(i64::MAX),
                Cell::Flag(_) | Cell::Text(_) | Cell::Amount(_) => 0,
            });
            let values: Vec<i64> = values.collect();
            writer.typed::<Int64Type>().write_batch(&values, None, None)?;
        }
        (Some(Cell::Flag(_)), _) => {
            let values: Vec<bool> = cells.iter().map(|cell| **cell == Cell::Flag(true)).collect();
            writer.typed::<BoolType>().write_batch(&values, None, None)?;
        }
        (Some(Cell::Text(_)), _) => {
            let values = cells.iter().map(|cell| match cell {
                Cell::Text(text) => ByteArray::from(text.as_str()),
                Cell::Number(_) | Cell::Flag(_) | Cell::Amount(_) => ByteArray::from(""),
            });
            let values: Vec<ByteArray> = values.collect();
            writer.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        }
        (Some(Cell::Amount(_)), 0) => {
            let values = amounts().map(|amount| ByteArray::from(amount.to_string().as_str()));
            let values: Vec<ByteArray> = values.collect();
            writer.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        }
        (Some(Cell::Amount(_)), 1) => {
            let values = amounts()
                .map(|amount| FixedLenByteArray::from(amount.base().to_be_bytes().to_vec()));
            let values: Vec<FixedLenByteArray> = values.collect();
            writer.typed::<FixedLenByteArrayType>().write_batch(&values, None, None)?;
        }
        (Some(Cell::Amount(_)), _) => {
            let values: Vec<f64> = amounts().map(|amount| float(amount, decimals)).collect();
            writer.typed::<DoubleType>().write_batch(&values, None, None)?;
        }
    }
    Ok(())
}
