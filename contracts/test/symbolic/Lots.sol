// SPDX-License-Identifier: MIT OR Apache-2.0
// Symbolic properties of releasing, committing, rejecting, settling and lapsing.
pragma solidity 0.8.37;

import {IRenderEscrow} from "../../src/IRenderEscrow.sol";
import {Lot, Order} from "../../src/Order.sol";
import {Units} from "../../src/Units.sol";
import {Ground} from "./Ground.sol";

contract SymbolicLots is Ground {
    struct Record {
        bytes32 hash;
        uint256 status;
        uint256 windowEnd;
        uint256 rejected;
    }

    function _record(bytes32 jobId, Lot memory lot) private view returns (Record memory record) {
        record.hash = escrow.lotHashOf(jobId, lot);
        (record.status, record.windowEnd, record.rejected) = escrow.lot(record.hash);
    }

    // ---- consents ----

    function check_release_needs_the_settler(address caller, Order memory order, Lot memory lot)
        external
    {
        _outsider(caller);
        vm.assume(caller != order.settler);
        bytes memory data = abi.encodeCall(IRenderEscrow.release, (order, _one(lot), "", ""));
        assert(!_try(caller, data));
    }

    function check_release_needs_the_payers_side(
        address caller,
        Order memory order,
        Lot memory lot
    ) external {
        _outsider(caller);
        vm.assume(caller != order.payer && caller != order.approver);
        bytes memory data = abi.encodeCall(IRenderEscrow.release, (order, _one(lot), "", ""));
        assert(!_try(caller, data));
    }

    /// Another's 65 bytes are no word of the settler's.
    function check_commit_needs_the_settler(
        address caller,
        Order memory order,
        Lot memory lot,
        bytes32 r,
        bytes32 s,
        uint8 v
    ) external {
        _outsider(caller);
        _outsider(order.settler);
        bytes memory data = abi.encodeCall(
            IRenderEscrow.commit, (order, _one(lot), abi.encodePacked(r, s, v), "")
        );
        if (_try(caller, data)) assert(_acceptanceSigner(order, lot, r, s, v) == order.settler);
    }

    function _acceptanceSigner(Order memory order, Lot memory lot, bytes32 r, bytes32 s, uint8 v)
        private
        view
        returns (address)
    {
        bytes32 jobId = escrow.jobIdOf(order);
        bytes32 lots = keccak256(abi.encode(escrow.lotHashOf(jobId, lot)));
        bytes32 kind = keccak256("Acceptance(bytes32 jobId,bytes32 lotsHash)");
        return ecrecover(_digest(keccak256(abi.encode(kind, jobId, lots))), v, r, s);
    }

    function check_only_the_payers_side_rejects(
        address caller,
        Order memory order,
        Lot memory lot,
        uint256 mask
    ) external {
        _outsider(caller);
        vm.assume(caller != order.payer && caller != order.approver);
        assert(!_try(caller, abi.encodeCall(IRenderEscrow.reject, (order, lot, mask, 0, ""))));
    }

    function check_only_the_payers_side_approves(
        address caller,
        Order memory order,
        Lot memory lot
    ) external {
        _outsider(caller);
        vm.assume(caller != order.payer && caller != order.approver);
        assert(!_try(caller, abi.encodeCall(IRenderEscrow.approve, (order, _one(lot), ""))));
    }

    // ---- money ----

    /// Commits by the settler's call; the job's money still covers all it owes, and no unit is
    /// taken twice.
    function check_a_commit_reserves_free_units_and_money(Order memory order, Lot memory lot)
        external
    {
        _outsider(order.settler);
        bytes32 jobId = escrow.jobIdOf(order);
        Job memory job = _job(jobId);
        _sane(job);
        vm.assume(order.reviewSeconds <= 14 days);
        uint256 taken = escrow.takenUnits(jobId, lot.word);
        vm.prank(order.settler);
        escrow.commit(order, _one(lot), "", "");
        Job memory after_ = _job(jobId);
        assert(lot.mask != 0 && taken & lot.mask == 0);
        assert(escrow.takenUnits(jobId, lot.word) == taken | lot.mask);
        assert(Units.outside(lot.word, lot.mask, order.units) == 0);
        assert(lot.unitPrice <= order.maxUnitPrice && block.timestamp < _end(order, job));
        assert(after_.pending == job.pending + Units.amount(lot.mask, lot.unitPrice));
        assert(after_.released + after_.pending <= after_.funded);
        assert(after_.funded == job.funded && after_.released == job.released);
        Record memory record = _record(jobId, lot);
        assert(record.status == 1 && record.windowEnd == block.timestamp + order.reviewSeconds);
    }

    function check_a_lot_commits_once(address caller, Order memory order, Lot memory lot)
        external
    {
        _outsider(caller);
        vm.assume(_record(escrow.jobIdOf(order), lot).status != 0);
        bytes memory data = abi.encodeCall(IRenderEscrow.commit, (order, _one(lot), "", ""));
        assert(!_try(caller, data));
    }

    /// Money moves from pending to released, all of it to the node, here of a job without
    /// shares: their division is beyond the solver, and fuzzed elsewhere.
    function check_a_settle_pays_exactly_what_is_left(
        address caller,
        Order memory order,
        Lot memory lot,
        bytes32 key
    ) external {
        _outsider(caller);
        (order.feeBps, order.burnBps) = (0, 0);
        bytes32 jobId = escrow.jobIdOf(order);
        Job memory job = _job(jobId);
        _sane(job);
        uint256 free = _account(lot.node).free;
        Record memory record = _record(jobId, lot);
        uint256 amount = Units.amount(lot.mask & ~record.rejected, lot.unitPrice);
        // What a live lot has left was counted into `pending` when it was committed.
        vm.assume(amount <= job.pending && free + amount <= MOST);
        vm.prank(caller);
        escrow.settle(order, _one(lot), _keys(key));
        Job memory after_ = _job(jobId);
        assert(after_.released == job.released + amount && after_.pending == job.pending - amount);
        assert(_account(lot.node).free == free + amount);
        assert(_record(jobId, lot).status == 3);
        assert(lot.keyCommit == 0 || keccak256(abi.encode(key)) == lot.keyCommit);
    }

    /// Whatever is paused, a lot whose window is over pays; here of a job without shares.
    function check_settle_is_always_open(address caller, Order memory order, Lot memory lot)
        external
    {
        _outsider(caller);
        (order.feeBps, order.burnBps, lot.unitPrice) = (0, 0, 1 ether);
        bytes32 jobId = escrow.jobIdOf(order);
        Job memory job = _job(jobId);
        Record memory record = _record(jobId, lot);
        uint256 left = lot.mask & ~record.rejected;
        vm.assume(left != 0 && lot.keyCommit == 0);
        vm.assume(record.status == 1 && block.timestamp >= record.windowEnd);
        _sane(job);
        vm.assume(Units.amount(left, lot.unitPrice) <= job.pending);
        bytes memory data = abi.encodeCall(IRenderEscrow.settle, (order, _one(lot), _keys(0)));
        assert(_try(caller, data));
    }

    /// In an open job the units are free again and their money is the job's.
    function check_a_rejection_frees_exactly_its_units(
        Order memory order,
        Lot memory lot,
        uint256 mask
    ) external {
        _outsider(order.payer);
        bytes32 jobId = escrow.jobIdOf(order);
        Job memory job = _job(jobId);
        Record memory record = _record(jobId, lot);
        uint256 taken = escrow.takenUnits(jobId, lot.word);
        uint256 cleared = mask & ~record.rejected;
        uint256 amount = Units.amount(cleared, lot.unitPrice);
        vm.assume(job.status == 1 && amount <= job.pending);
        _sane(job);
        vm.prank(order.payer);
        escrow.reject(order, lot, mask, 0, "");
        Job memory after_ = _job(jobId);
        assert(cleared != 0 && mask & ~lot.mask == 0);
        assert(after_.pending == job.pending - amount && after_.released == job.released);
        assert(after_.funded == job.funded);
        assert(escrow.takenUnits(jobId, lot.word) == taken & ~cleared);
        assert(_record(jobId, lot).rejected == record.rejected | mask);
    }

    // ---- dates ----

    function check_no_settle_within_the_window(
        address caller,
        Order memory order,
        Lot memory lot,
        bytes32 key
    ) external {
        _outsider(caller);
        Record memory record = _record(escrow.jobIdOf(order), lot);
        vm.assume(record.status == 1 && block.timestamp < record.windowEnd);
        bytes memory data = abi.encodeCall(IRenderEscrow.settle, (order, _one(lot), _keys(key)));
        assert(!_try(caller, data));
    }

    function check_no_rejection_after_the_window(
        address caller,
        Order memory order,
        Lot memory lot,
        uint256 mask
    ) external {
        _outsider(caller);
        Record memory record = _record(escrow.jobIdOf(order), lot);
        vm.assume(record.status != 1 || block.timestamp >= record.windowEnd);
        assert(!_try(caller, abi.encodeCall(IRenderEscrow.reject, (order, lot, mask, 0, ""))));
    }

    function check_no_lapse_before_the_grace_is_over(
        address caller,
        Order memory order,
        Lot memory lot
    ) external {
        _outsider(caller);
        Record memory record = _record(escrow.jobIdOf(order), lot);
        vm.assume(block.timestamp < record.windowEnd + order.claimGrace);
        assert(!_try(caller, abi.encodeCall(IRenderEscrow.lapse, (order, lot))));
    }

    function _end(Order memory order, Job memory job) private pure returns (uint256) {
        uint256 asked = job.closeRequestedAt;
        return (asked == 0 ? order.workDeadline : asked) + order.claimGrace;
    }

    function _digest(bytes32 structHash) private view returns (bytes32) {
        bytes32 kind = keccak256(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        );
        bytes32 domain = keccak256(
            abi.encode(
                kind, keccak256("RenderEscrow"), keccak256("1"), block.chainid, address(escrow)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }
}
