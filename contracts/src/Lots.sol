// SPDX-License-Identifier: MIT OR Apache-2.0
// State of units and lots, and the single steps that the operations on them are made of.
pragma solidity 0.8.37;

import {Jobs} from "./Jobs.sol";
import {Hashes, Lot, Order} from "./Order.sol";
import {Units} from "./Units.sol";

abstract contract Lots is Jobs {
    struct LotRecord {
        uint40 windowEnd;
        uint8 status;
    }

    /// A word of 256 units; a struct of its own, so that reading and writing locate it once.
    struct Word {
        uint256 taken;
    }

    uint8 internal constant LOT_NONE = 0;
    uint8 internal constant LOT_COMMITTED = 1;
    uint8 internal constant LOT_APPROVED = 2;
    uint8 internal constant LOT_SETTLED = 3;
    uint8 internal constant LOT_LAPSED = 4;

    mapping(bytes32 jobId => mapping(uint32 word => Word)) internal _words;
    mapping(bytes32 lotHash => LotRecord) internal _lots;
    mapping(bytes32 lotHash => uint256 mask) internal _rejected;

    function _hashLots(bytes32 jobId, Lot[] calldata lots)
        internal
        pure
        returns (bytes32[] memory hashes, bytes32 lotsHash)
    {
        _checkCount(lots.length);
        hashes = new bytes32[](lots.length);
        for (uint256 i = 0; i < lots.length; ++i) {
            hashes[i] = Hashes.lot(jobId, lots[i]);
        }
        lotsHash = Hashes.list(hashes);
    }

    /// Takes the lot's free units and says how many there are and what they cost.
    function _take(Order calldata order, Work memory work, Lot calldata lot)
        private
        returns (uint96, uint256 count)
    {
        _checkAccount(lot.node);
        if (lot.unitPrice > order.maxUnitPrice) {
            revert RenderEscrow_UnitPriceTooHigh(work.jobId, lot.unitPrice, order.maxUnitPrice);
        }
        if (lot.mask == 0 || Units.outside(lot.word, lot.mask, order.units) != 0) {
            revert RenderEscrow_UnitsUnknown(work.jobId, lot.word, lot.mask, order.units);
        }
        Word storage word = _words[work.jobId][lot.word];
        uint256 taken = word.taken;
        if (taken & lot.mask != 0) {
            revert RenderEscrow_UnitsTaken(work.jobId, lot.word, taken & lot.mask);
        }
        word.taken = taken | lot.mask;
        count = Units.count(lot.mask);
        unchecked {
            // Fits: at most 256 times a 96-bit price.
            return (_affordable(work, count * lot.unitPrice), count);
        }
    }

    function _release(Order calldata order, Work memory work, Lot calldata lot, bytes32 lotHash)
        internal
    {
        if (lot.keyCommit != 0) revert RenderEscrow_LotSealed(lotHash);
        _checkNeverCommitted(lotHash);
        (uint96 amount, uint256 count) = _take(order, work, lot);
        (uint96 fee, uint96 burnt, uint96 rest) = _pay(order, work, count, amount);
        (uint96 free, uint64 seq) = _credit(lot.node, rest);
        emit Released(
            work.jobId,
            lot.node,
            lotHash,
            lot,
            amount,
            fee,
            burnt,
            work.released,
            work.seq,
            free,
            seq
        );
    }

    function _commit(
        Order calldata order,
        Work memory work,
        Lot calldata lot,
        bytes32 lotHash,
        bool approved
    ) internal {
        _checkNeverCommitted(lotHash);
        (uint96 amount,) = _take(order, work, lot);
        work.pending += amount;
        ++work.seq;
        // Fits: 40 bits of seconds last for 34,000 years.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint40 windowEnd = uint40(block.timestamp + order.reviewSeconds);
        _lots[lotHash] = LotRecord(windowEnd, approved ? LOT_APPROVED : LOT_COMMITTED);
        emit Committed(
            work.jobId, lot.node, lotHash, lot, amount, windowEnd, approved, work.pending, work.seq
        );
    }

    function _settle(Order calldata order, Work memory work, Lot calldata lot, bytes32 key)
        internal
    {
        bytes32 lotHash = Hashes.lot(work.jobId, lot);
        uint256 mask = _leftOf(lotHash, lot.mask);
        _endLot(lotHash, lot.keyCommit, key);
        uint256 count = Units.count(mask);
        // Fits: the same amount was counted into `pending`, which has 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 amount = uint96(count * lot.unitPrice);
        work.pending -= amount;
        (uint96 fee, uint96 burnt, uint96 rest) = _pay(order, work, count, amount);
        (uint96 free, uint64 seq) = _credit(lot.node, rest);
        emit Settled(
            work.jobId,
            lot.node,
            lotHash,
            key,
            mask,
            amount,
            fee,
            burnt,
            work.released,
            work.pending,
            work.seq,
            free,
            seq
        );
    }

    /// Frees units of a lot that was rejected in part or lapsed; their money is the job's again.
    function _unreserve(Work memory work, Lot calldata lot, uint256 mask)
        internal
        returns (uint96 amount)
    {
        _words[work.jobId][lot.word].taken &= ~mask;
        // Fits: the same amount was counted into `pending`, which has 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        amount = uint96(Units.amount(mask, lot.unitPrice));
        work.pending -= amount;
        ++work.seq;
    }

    // ---- lots ----

    /// Else its acceptance or an old approval could be used again after a rejection or a lapse.
    function _checkNeverCommitted(bytes32 lotHash) private view {
        uint8 status = _lots[lotHash].status;
        if (status != LOT_NONE) revert RenderEscrow_LotKnown(lotHash, status);
    }

    function _checkRejectable(bytes32 lotHash) internal view {
        LotRecord memory record = _lots[lotHash];
        if (record.status == LOT_NONE) revert RenderEscrow_LotUnknown(lotHash);
        if (record.status != LOT_COMMITTED) {
            revert RenderEscrow_LotDecided(lotHash, record.status);
        }
        if (block.timestamp >= record.windowEnd) {
            revert RenderEscrow_WindowPassed(lotHash, record.windowEnd, block.timestamp);
        }
    }

    /// Units of a live lot that are neither rejected, paid nor lapsed; there is at least one.
    function _leftOf(bytes32 lotHash, uint256 mask) internal view returns (uint256 left) {
        uint8 status = _lots[lotHash].status;
        if (status == LOT_NONE) revert RenderEscrow_LotUnknown(lotHash);
        if (status > LOT_APPROVED) revert RenderEscrow_LotDecided(lotHash, status);
        left = mask & ~_rejected[lotHash];
        if (left == 0) revert RenderEscrow_NothingLeft(lotHash);
    }

    /// Its window has passed or an approval ended it, and the key opens it.
    function _endLot(bytes32 lotHash, bytes32 keyCommit, bytes32 key) private {
        LotRecord storage record = _lots[lotHash];
        if (record.status == LOT_COMMITTED && block.timestamp < record.windowEnd) {
            revert RenderEscrow_TooEarly(lotHash, record.windowEnd, block.timestamp);
        }
        if (keyCommit == 0 ? key != 0 : keccak256(abi.encode(key)) != keyCommit) {
            revert RenderEscrow_KeyRefused(lotHash, key, keyCommit);
        }
        record.status = LOT_SETTLED;
    }
}
