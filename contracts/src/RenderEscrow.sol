// SPDX-License-Identifier: MIT OR Apache-2.0
// Jobs: open, top up, release, commit, approve, reject, settle, lapse, redeem, ask to close, close.
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Accounts} from "./Accounts.sol";
import {Lots} from "./Lots.sol";
import {Hashes, Lot, Order, Payout} from "./Order.sol";

contract RenderEscrow is Lots {
    constructor(address token_, address issuer, address guardian)
        Accounts(token_, issuer, guardian)
        EIP712("RenderEscrow", "1")
    {}

    // ---- opening and topping up ----

    function open(Order calldata order) external nonReentrant returns (bytes32 jobId) {
        jobId = jobIdOf(order);
        uint96 pulled = _open(order, jobId, msg.sender, true);
        if (pulled != 0) _pull(msg.sender, pulled);
    }

    function openFor(Order calldata order, address signer, bytes calldata signature)
        external
        returns (bytes32 jobId)
    {
        jobId = jobIdOf(order);
        _checkConsent(signer, address(0), jobId, signature);
        bool delegated = signer != order.payer;
        uint96 allowance = delegated ? _spendAllowance(order, signer) : 0;
        _open(order, jobId, order.payer, false);
        if (!delegated) return jobId;
        Work memory work = _loadJob(jobId);
        ++work.seq;
        _saveMoney(work);
        emit DelegateSpent(jobId, order.payer, signer, order.cap, allowance, work.seq);
    }

    function topUp(bytes32 jobId, uint96 amount) external {
        _checkRunning();
        Work memory work = _loadJob(jobId);
        _checkOpen(jobId, work.status);
        (uint96 free, uint64 seq) = _debit(msg.sender, amount);
        work.funded += amount;
        ++work.seq;
        _saveMoney(work);
        emit ToppedUp(jobId, msg.sender, amount, work.funded, work.seq, free, seq);
    }

    // ---- paying and proposing ----

    function release(
        Order calldata order,
        Lot[] calldata lots,
        bytes calldata acceptance,
        bytes calldata approval
    ) external {
        Work memory work = _workable(order);
        (bytes32[] memory hashes, bytes32 lotsHash) = _hashLots(work.jobId, lots);
        _checkSettler(order, Hashes.acceptance(work.jobId, lotsHash), acceptance);
        _checkPayerSide(order, Hashes.approval(work.jobId, lotsHash), approval);
        for (uint256 i = 0; i < lots.length; ++i) {
            _release(order, work, lots[i], hashes[i]);
        }
        _saveMoney(work);
        _creditShares(order, work);
    }

    function commit(
        Order calldata order,
        Lot[] calldata lots,
        bytes calldata acceptance,
        bytes calldata approval
    ) external {
        Work memory work = _workable(order);
        (bytes32[] memory hashes, bytes32 lotsHash) = _hashLots(work.jobId, lots);
        _checkSettler(order, Hashes.acceptance(work.jobId, lotsHash), acceptance);
        bool approved = approval.length != 0;
        if (approved) _checkPayerSide(order, Hashes.approval(work.jobId, lotsHash), approval);
        for (uint256 i = 0; i < lots.length; ++i) {
            _commit(order, work, lots[i], hashes[i], approved);
        }
        _saveAll(work);
    }

    function approve(Order calldata order, Lot[] calldata lots, bytes calldata approval) external {
        Work memory work = _load(order);
        (bytes32[] memory hashes, bytes32 lotsHash) = _hashLots(work.jobId, lots);
        address by = _checkPayerSide(order, Hashes.approval(work.jobId, lotsHash), approval);
        uint32 before = work.seq;
        for (uint256 i = 0; i < lots.length; ++i) {
            bytes32 lotHash = hashes[i];
            uint8 status = _lots[lotHash].status;
            if (status == LOT_NONE) revert RenderEscrow_LotUnknown(lotHash);
            // One signature names all its lots: those that ended meanwhile must not void the rest.
            if (status != LOT_COMMITTED || lots[i].mask == _rejected[lotHash]) continue;
            _lots[lotHash].status = LOT_APPROVED;
            emit Approved(work.jobId, by, lotHash, ++work.seq);
        }
        if (work.seq == before) revert RenderEscrow_NothingToApprove(work.jobId, lotsHash);
        _saveMoney(work);
    }

    function reject(
        Order calldata order,
        Lot calldata lot,
        uint256 mask,
        bytes32 reasonHash,
        bytes calldata signature
    ) external {
        Work memory work = _load(order);
        bytes32 lotHash = Hashes.lot(work.jobId, lot);
        _checkRejectable(lotHash);
        bytes32 act = Hashes.rejection(work.jobId, lotHash, mask, reasonHash);
        address by = _checkPayerSide(order, act, signature);
        uint256 rejected = _rejected[lotHash];
        uint256 cleared = mask & ~rejected;
        if (cleared == 0 || mask & ~lot.mask != 0) {
            revert RenderEscrow_MaskRefused(lotHash, mask, lot.mask & ~rejected);
        }
        _rejected[lotHash] = rejected | cleared;
        uint96 amount = _unreserve(work, lot, cleared);
        emit Rejected(work.jobId, by, lotHash, cleared, reasonHash, amount, work.pending, work.seq);
        _returnIfClosed(order, work, amount);
        _saveAll(work);
    }

    function settle(Order calldata order, Lot[] calldata lots, bytes32[] calldata keys) external {
        if (lots.length != keys.length) {
            revert RenderEscrow_KeyCountWrong(lots.length, keys.length);
        }
        _checkCount(lots.length);
        Work memory work = _load(order);
        for (uint256 i = 0; i < lots.length; ++i) {
            _settle(order, work, lots[i], keys[i]);
        }
        _saveAll(work);
        _creditShares(order, work);
    }

    function lapse(Order calldata order, Lot calldata lot) external {
        Work memory work = _load(order);
        bytes32 lotHash = Hashes.lot(work.jobId, lot);
        uint256 mask = _leftOf(lotHash, lot.mask);
        if (lot.keyCommit == 0) revert RenderEscrow_LotNotSealed(lotHash);
        uint256 from = uint256(_lots[lotHash].windowEnd) + order.claimGrace;
        if (block.timestamp < from) revert RenderEscrow_TooEarly(lotHash, from, block.timestamp);
        _lots[lotHash].status = LOT_LAPSED;
        uint96 amount = _unreserve(work, lot, mask);
        emit Lapsed(work.jobId, lotHash, mask, amount, work.pending, work.seq);
        _returnIfClosed(order, work, amount);
        _saveAll(work);
    }

    function redeem(
        Order calldata order,
        uint96 cumulative,
        bytes calldata signature,
        Payout[] calldata payouts,
        bytes calldata consent
    ) external {
        Work memory work = _workable(order);
        if (order.units != 0) revert RenderEscrow_JobTakesNoVouchers(work.jobId, order.units);
        _checkCount(payouts.length);
        _checkPayerSide(order, Hashes.voucher(work.jobId, cumulative), signature);
        bytes32 act = Hashes.redemption(work.jobId, cumulative, Hashes.payouts(payouts));
        _checkSettler(order, act, consent);
        uint96 released = work.released;
        if (cumulative <= released) {
            revert RenderEscrow_VoucherSpent(work.jobId, cumulative, released);
        }
        _affordable(work, cumulative - released);
        for (uint256 i = 0; i < payouts.length; ++i) {
            _redeem(order, work, payouts[i], cumulative);
        }
        if (work.released != cumulative) {
            revert RenderEscrow_PayoutsWrong(
                work.jobId, work.released - released, cumulative - released
            );
        }
        _saveMoney(work);
        _creditShares(order, work);
    }

    // ---- ending ----

    function requestClose(Order calldata order, bytes calldata signature) external {
        Work memory work = _load(order);
        _checkOpen(work.jobId, work.status);
        address by = _checkPayerSide(order, Hashes.closeRequest(work.jobId), signature);
        uint40 asked = work.closeRequestedAt;
        if (asked != 0) revert RenderEscrow_CloseAlreadyRequested(work.jobId, asked);
        if (block.timestamp >= order.workDeadline) {
            revert RenderEscrow_DeadlinePassed(work.jobId, order.workDeadline, block.timestamp);
        }
        // Fits: it is before `workDeadline`, which has 40 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        work.closeRequestedAt = uint40(block.timestamp);
        ++work.seq;
        emit CloseRequested(work.jobId, by, work.closeRequestedAt, work.seq);
        _saveAll(work);
    }

    function close(Order calldata order, bytes calldata payerSide, bytes calldata settlerSide)
        external
    {
        Work memory work = _load(order);
        _checkOpen(work.jobId, work.status);
        uint256 end = _end(order, work.closeRequestedAt);
        bool allPaid = order.units != 0 && work.unitsPaid == order.units;
        if (block.timestamp < end && !allPaid) {
            // Nobody is both sides, so at least one of the two must have signed.
            if (payerSide.length == 0 && settlerSide.length == 0) {
                revert RenderEscrow_TooEarly(work.jobId, end, block.timestamp);
            }
            _checkPayerSide(order, Hashes.close(work.jobId), payerSide);
            _checkSettler(order, Hashes.close(work.jobId), settlerSide);
        }
        work.status = JOB_CLOSED;
        emit Closed(work.jobId, ++work.seq);
        _returnIfClosed(order, work, work.funded - work.released - work.pending);
        _saveAll(work);
    }

    // ---- views ----

    function job(bytes32 jobId)
        external
        view
        returns (
            uint96 funded,
            uint96 released,
            uint96 pending,
            uint32 unitsPaid,
            uint32 seq,
            uint8 status,
            uint40 closeRequestedAt,
            uint96 creditShare
        )
    {
        Work memory j = _loadJob(jobId);
        return (
            j.funded,
            j.released,
            j.pending,
            j.unitsPaid,
            j.seq,
            j.status,
            j.closeRequestedAt,
            j.creditShare
        );
    }

    function lot(bytes32 lotHash)
        external
        view
        returns (uint8 status, uint40 windowEnd, uint256 rejected)
    {
        LotRecord memory record = _lots[lotHash];
        return (record.status, record.windowEnd, _rejected[lotHash]);
    }

    function takenUnits(bytes32 jobId, uint32 word) external view returns (uint256 mask) {
        return _words[jobId][word].taken;
    }

    function lotHashOf(bytes32 jobId, Lot calldata lot) external pure returns (bytes32) {
        return Hashes.lot(jobId, lot);
    }

    function jobIdOf(Order calldata order) public view returns (bytes32) {
        return _hashTypedDataV4(Hashes.order(order));
    }
}
