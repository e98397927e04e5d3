//! pure: orders and lots as columns, alike in every table that holds them.

use contracts::{Lot, Order};

use crate::error::Result;
use crate::values::{Row, Value, values};

/// The columns of an order in a SELECT; the table is named `o`.
macro_rules! order_columns {
    () => {
        "o.payer, o.refund_to, o.approver, o.settler, o.fee_receiver, o.cap, o.max_unit_price, \
         o.units, o.open_by, o.work_deadline, o.review_seconds, o.claim_grace, o.fee_bps, \
         o.burn_bps, o.spec_hash, o.quote_hash, o.salt"
    };
}
pub(crate) use order_columns;

/// The columns of a lot in a SELECT; the table is named `l`. Events have a `mask` of their own.
macro_rules! lot_columns {
    () => {
        "l.node, l.word, l.mask AS lot_mask, l.unit_price, l.receipts_root, l.key_commit"
    };
}
pub(crate) use lot_columns;

pub(crate) fn order_values(order: &Order) -> Vec<Value> {
    values![
        order.payer,
        order.refund_to,
        order.approver,
        order.settler,
        order.fee_receiver,
        order.cap,
        order.max_unit_price,
        order.units,
        order.open_by,
        order.work_deadline,
        order.review_seconds,
        order.claim_grace,
        order.fee_bps,
        order.burn_bps,
        order.spec_hash,
        order.quote_hash,
        order.salt,
    ]
}

pub(crate) fn order_from(row: &Row) -> Result<Order> {
    Ok(Order {
        payer: row.get("payer")?,
        refund_to: row.get("refund_to")?,
        approver: row.get("approver")?,
        settler: row.get("settler")?,
        fee_receiver: row.get("fee_receiver")?,
        cap: row.get("cap")?,
        max_unit_price: row.get("max_unit_price")?,
        units: row.get("units")?,
        open_by: row.get("open_by")?,
        work_deadline: row.get("work_deadline")?,
        review_seconds: row.get("review_seconds")?,
        claim_grace: row.get("claim_grace")?,
        fee_bps: row.get("fee_bps")?,
        burn_bps: row.get("burn_bps")?,
        spec_hash: row.get("spec_hash")?,
        quote_hash: row.get("quote_hash")?,
        salt: row.get("salt")?,
    })
}

pub(crate) fn lot_values(lot: &Lot) -> Vec<Value> {
    values![lot.node, lot.word, lot.mask, lot.unit_price, lot.receipts_root, lot.key_commit,]
}

pub(crate) fn lot_from(row: &Row) -> Result<Lot> {
    Ok(Lot {
        node: row.get("node")?,
        word: row.get("word")?,
        mask: row.get("lot_mask")?,
        unit_price: row.get("unit_price")?,
        receipts_root: row.get("receipts_root")?,
        key_commit: row.get("key_commit")?,
    })
}
