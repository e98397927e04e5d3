// SPDX-License-Identifier: MIT OR Apache-2.0
// Random acts on lots: release, commit, approve, reject, settle, lapse, and the same lot again.
pragma solidity 0.8.37;

import {Hashes, Lot, Order} from "../../src/Order.sol";
import {JobActs} from "./JobActs.sol";

abstract contract LotActs is JobActs {
    uint256 private constant LIVELY_LOTS = 8;
    bytes32 private constant SEAL = keccak256(abi.encode(keccak256("lot key")));

    function release(uint256 seed, uint256 mask) external {
        seed = _mix(seed);
        if (jobIds.length == 0) return;
        bytes32 jobId = _jobOfKind(seed, false);
        bool sealed_ = (seed >> 8) % 16 == 0;
        Lot[] memory list = _lotsOf(jobId, seed >> 16, mask, sealed_ ? SEAL : bytes32(0));
        _tryLots("release", jobId, list, seed >> 128, true);
    }

    /// One in four with the payer's side's approval, one in two sealed.
    function commit(uint256 seed, uint256 mask) external {
        seed = _mix(seed);
        if (jobIds.length == 0) return;
        bytes32 jobId = _jobOfKind(seed, false);
        bytes32 seal = (seed >> 8) % 2 == 0 ? bytes32(0) : SEAL;
        Lot[] memory list = _lotsOf(jobId, seed >> 16, mask, seal);
        bool approved = (seed >> 12) % 4 == 0;
        _tryLots(approved ? "commit approved" : "commit", jobId, list, seed >> 128, approved);
    }

    /// A release or a commit in this very job.
    function takeIn(bytes32 jobId, uint256 seed, uint256 mask) external {
        seed = _mix(seed);
        bool releases = seed % 2 == 0;
        Lot[] memory list = _lotsOf(jobId, seed >> 16, mask, 0);
        _tryLots(releases ? "release" : "commit", jobId, list, seed >> 128, releases);
    }

    /// With every consent there is, a lot that was committed stays what it became.
    function recommit(uint256 seed) external {
        seed = _mix(seed);
        if (lotHashes.length == 0) return;
        LotState memory lot = _anyLot(seed);
        // Five times the true word.
        uint256 honest = 3 | (3 << 32);
        _tryLots("commit", lot.jobId, _one(lot.lot), honest, false);
        if (lot.lot.keyCommit == 0) _tryLots("release", lot.jobId, _one(lot.lot), honest, true);
        // The same units under another seal are another lot, and may be taken if they are free.
        lot.lot.keyCommit = lot.lot.keyCommit == 0 ? SEAL : bytes32(0);
        bool unsealed = lot.lot.keyCommit == 0;
        string memory act = unsealed ? "release" : "commit";
        _tryLots(act, lot.jobId, _one(lot.lot), honest, unsealed);
        ++tried["lot again"];
    }

    function _tryLots(
        string memory act,
        bytes32 jobId,
        Lot[] memory list,
        uint256 seed,
        bool approved
    ) private {
        Order memory order = jobs[jobId].order;
        bytes32 all = _lotsHash(jobId, list);
        address caller = (seed >> 80) % 4 == 0 ? order.settler : _person(seed >> 88);
        if ((seed >> 80) % 16 == 1) caller = order.payer;
        bytes32 yes = Hashes.acceptance(jobId, all);
        bytes32 ok = Hashes.approval(jobId, all);
        Word memory ours = _word(seed, _keyOf[order.settler], yes, ok, caller);
        Word memory theirs = _word(seed >> 32, _sideKey(order, seed >> 64), ok, yes, caller);
        Consent memory given = _by(caller);
        given.settler = _speaks(order.settler, ours);
        bool releases = keccak256(bytes(act)) == keccak256("release");
        // An empty approval of a commit is none.
        bool empty = !releases && (!approved || theirs.signature.length == 0);
        if (empty) theirs = Word("", address(0), false);
        given.by = _sideOf(order, theirs);
        bool consents = given.settler && (empty || given.by != address(0));
        bool expected = consents && _mayTake(jobId, list, !releases);
        bytes memory data = releases
            ? abi.encodeCall(escrow.release, (order, list, ours.signature, theirs.signature))
            : abi.encodeCall(escrow.commit, (order, list, ours.signature, theirs.signature));
        _exit(act, data, given, expected);
    }

    function approve(uint256 seed) external {
        seed = _mix(seed);
        if (lotHashes.length == 0) return;
        (LotState memory lot, bytes32 lotHash) = _anyLotAndHash(seed);
        Order memory order = jobs[lot.jobId].order;
        Lot[] memory list = _withNeighbour(lot, seed >> 200);
        bytes32 all = _lotsHash(lot.jobId, list);
        bytes32 act = Hashes.approval(lot.jobId, all);
        bytes32 other = Hashes.acceptance(lot.jobId, all);
        address caller = (seed >> 64) % 4 == 0 ? order.settler : _person(seed >> 72);
        Word memory word = _word(seed >> 80, _sideKey(order, seed >> 96), act, other, caller);
        Consent memory given = _by(caller);
        given.by = _sideOf(order, word);
        bool some = _mayApprove(lots[lotHash]);
        if (list.length == 2) {
            some = some || _mayApprove(lots[escrow.lotHashOf(lot.jobId, list[1])]);
        }
        bytes memory data = abi.encodeCall(escrow.approve, (order, list, word.signature));
        _exit("approve", data, given, some && given.by != address(0));
    }

    function reject(uint256 seed, uint256 mask) external {
        seed = _mix(seed);
        if (lotHashes.length == 0) return;
        (LotState memory lot, bytes32 lotHash) = _anyLotAndHash(seed);
        mask = seed % 3 == 0 ? lot.lot.mask : mask & lot.lot.mask;
        if (seed % 32 == 1) mask |= ~lot.lot.mask & (mask << 1);
        _reject(seed >> 64, lot, lotHash, mask, "reject");
        if (seed & 2 == 0) return;
        // Again, with units that are left and units that are not.
        mask = lot.lot.mask & ((mask << 1) | mask | seed);
        _reject(seed >> 64, lot, lotHash, mask, "reject again");
    }

    function _reject(
        uint256 seed,
        LotState memory lot,
        bytes32 lotHash,
        uint256 mask,
        string memory name
    ) private {
        Order memory order = jobs[lot.jobId].order;
        bytes32 act = Hashes.rejection(lot.jobId, lotHash, mask, "reason");
        bytes32 other = Hashes.rejection(lot.jobId, lotHash, mask, "another reason");
        address caller = seed % 3 == 0 ? order.settler : seed % 3 == 1 ? lot.lot.node : stranger;
        Word memory word = _word(seed >> 8, _sideKey(order, seed >> 24), act, other, caller);
        Consent memory given = _by(caller);
        given.by = _sideOf(order, word);
        bool expected = given.by != address(0) && _mayReject(lots[lotHash], mask);
        bytes memory data =
            abi.encodeCall(escrow.reject, (order, lot.lot, mask, "reason", word.signature));
        _exit(name, data, given, expected);
    }

    function settle(uint256 seed) external {
        seed = _mix(seed);
        if (lotHashes.length == 0) return;
        (LotState memory lot, bytes32 lotHash) = _anyLotAndHash(seed);
        bytes32 key = lot.lot.keyCommit == 0 ? bytes32(0) : KEY;
        if ((seed >> 64) % 8 == 0) key = (seed >> 72) % 2 == 0 ? bytes32(0) : bytes32("wrong");
        Lot[] memory list = _withNeighbour(lot, seed >> 200);
        bytes32[] memory opening = new bytes32[](list.length);
        opening[0] = key;
        bool expected = _maySettle(lots[lotHash], key);
        if (list.length == 2) {
            opening[1] = list[1].keyCommit == 0 ? bytes32(0) : KEY;
            bytes32 next = escrow.lotHashOf(lot.jobId, list[1]);
            expected = expected && next != lotHash && _maySettle(lots[next], opening[1]);
        }
        Order memory order = jobs[lot.jobId].order;
        bytes memory data = abi.encodeCall(escrow.settle, (order, list, opening));
        _exit("settle", data, _by(_person(seed >> 80)), expected);
    }

    function lapse(uint256 seed) external {
        seed = _mix(seed);
        if (lotHashes.length == 0) return;
        (LotState memory lot, bytes32 lotHash) = _anyLotAndHash(seed);
        Order memory order = jobs[lot.jobId].order;
        bytes memory data = abi.encodeCall(escrow.lapse, (order, lot.lot));
        _exit("lapse", data, _by(_person(seed >> 80)), _mayLapse(lots[lotHash]));
    }

    // ---- picking ----

    function _anyLot(uint256 seed) internal view returns (LotState memory lot) {
        (lot,) = _anyLotAndHash(seed);
    }

    function _anyLotAndHash(uint256 seed)
        internal
        view
        returns (LotState memory lot, bytes32 lotHash)
    {
        lotHash = lotHashes[_pick(seed >> 16, lotHashes.length, LIVELY_LOTS)];
        lot = lots[lotHash];
    }

    /// The lot, now and then with one that was committed about the same time, or with itself.
    function _withNeighbour(LotState memory lot, uint256 seed)
        private
        view
        returns (Lot[] memory list)
    {
        LotState memory other = _anyLot(seed >> 4);
        bool two = seed % 4 == 0 && other.jobId == lot.jobId;
        return two ? _two(lot.lot, other.lot) : _one(lot.lot);
    }

    // ---- terms ----

    /// One or two lots on units that are mostly free and mostly exist.
    function _lotsOf(bytes32 jobId, uint256 seed, uint256 mask, bytes32 keyCommit)
        private
        view
        returns (Lot[] memory list)
    {
        uint256 words = (uint256(jobs[jobId].order.units) + 255) / 256;
        if (words == 0) words = 1;
        Lot memory first = _lotAt(jobId, seed, uint32((seed >> 16) % words), mask, keyCommit);
        if ((seed >> 80) % 2 == 0) return _one(first);
        uint256 bits = _mix(seed);
        Lot memory other = _lotAt(jobId, bits, uint32((seed >> 24) % words), ~mask, 0);
        return _two(first, other);
    }

    function _lotAt(bytes32 jobId, uint256 seed, uint32 word, uint256 mask, bytes32 keyCommit)
        private
        view
        returns (Lot memory lot)
    {
        JobState storage job = jobs[jobId];
        uint256 bits = _mix(seed);
        // Sparse masks, so that a job takes several lots; now and then all that is left.
        if (bits % 8 == 0) mask = type(uint256).max;
        else mask &= bits & _mix(mask);
        if ((bits >> 8) % 16 != 0) mask &= _units(job, word) & ~taken[jobId][word];
        lot = _lotOf((bits >> 16) % 4 == 0 ? _person(bits >> 24) : node, word, mask, keyCommit);
        if ((bits >> 32) % 64 == 0) lot.node = address(0);
        lot.unitPrice = uint96((bits >> 40) % 0.12 ether);
        if ((bits >> 104) % 16 == 0) lot.unitPrice = job.order.maxUnitPrice;
        if ((bits >> 104) % 16 == 1) lot.unitPrice = job.order.maxUnitPrice + 1;
        if ((bits >> 104) % 16 == 2) lot.unitPrice = uint96((bits >> 112) % 3);
        lot.receiptsRoot = bytes32(bits);
    }
}
