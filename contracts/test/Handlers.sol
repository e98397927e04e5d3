// SPDX-License-Identifier: MIT OR Apache-2.0
// Random acts of payers, approver, settler, nodes and strangers, honest or not, on a few jobs.
pragma solidity 0.8.37;

import {Hashes, Lot, Order} from "../src/Order.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {LegacyRndr} from "./doubles/LegacyRndr.sol";
import {Fixture} from "./Fixture.sol";
import {Fold} from "./Fold.sol";
import {Vm} from "./Vm.sol";

contract Handlers is Fixture {
    uint256 private constant MOST_JOBS = 40;
    /// Acts choose among the newest: enough to share accounts, few enough for each to come far.
    uint256 private constant LIVELY_JOBS = 3;
    uint256 private constant LIVELY_LOTS = 8;
    uint256 private constant SECOND_PAYER_KEY = 0xA11CE2;

    Fold public fold;
    uint256 public donated;
    /// Calls that a stranger, or one party alone, got through.
    uint256 public intrusions;
    mapping(string act => uint256) public done;

    Order[] private orders;
    Lot[] private lots;
    uint256[] private jobOfLot;

    constructor(RenderEscrow escrow_, LegacyRndr rndr_) {
        escrow = escrow_;
        rndr = rndr_;
        fold = new Fold();
        _fund(payer);
        _fund(vm.addr(SECOND_PAYER_KEY));
        _fund(stranger);
    }

    function setUp() public override {}

    // ---- money ----

    function deposit(uint256 seed, uint256 any) external {
        address owner = _person(seed);
        uint96 amount = uint96(1 + any % 200 ether);
        rndr.mint(owner, amount);
        vm.prank(owner);
        rndr.approve(address(escrow), type(uint256).max);
        _call(owner, abi.encodeCall(escrow.deposit, (amount)), "deposit", owner, 0);
    }

    function depositFor(uint256 seed, uint256 any) external {
        uint96 amount = uint96(1 + any % 10 ether);
        rndr.mint(payer, amount);
        address to = _person(seed);
        _call(payer, abi.encodeCall(escrow.depositFor, (to, amount)), "depositFor", payer, 0);
    }

    function withdraw(uint256 seed, uint256 any) external {
        address owner = _person(seed);
        uint256 free = _free(owner);
        // One in eight asks for more than there is.
        uint96 amount = uint96(free == 0 || seed % 8 == 0 ? free + 1 : 1 + any % free);
        _call(owner, abi.encodeCall(escrow.withdraw, (amount, owner)), "withdraw", owner, 0);
    }

    function burn() external {
        _call(stranger, abi.encodeCall(escrow.burn, ()), "burn", address(0), 0);
    }

    function donate(uint256 any) external {
        donated += any % 1 ether;
        rndr.mint(address(escrow), any % 1 ether);
    }

    // ---- jobs ----

    function open(uint256 seed) external {
        if (orders.length == MOST_JOBS) return;
        Order memory order = _orderOf(seed);
        rndr.mint(order.payer, order.cap);
        bool done_;
        if (orders.length % 2 == 0) {
            bytes memory data = abi.encodeCall(escrow.open, (order));
            done_ = _call(order.payer, data, "open", order.payer, 0);
        } else {
            vm.prank(order.payer);
            rndr.approve(address(escrow), type(uint256).max);
            _call(
                order.payer, abi.encodeCall(escrow.deposit, (order.cap)), "deposit", order.payer, 0
            );
            bytes memory word = _sign(_payerKey(order), escrow.jobIdOf(order));
            bytes memory data = abi.encodeCall(escrow.openFor, (order, order.payer, word));
            done_ = _call(stranger, data, "openFor", order.payer, 0);
        }
        if (done_) orders.push(order);
    }

    function topUp(uint256 seed, uint256 any) external {
        if (orders.length == 0) return;
        address owner = _person(seed);
        bytes32 jobId = escrow.jobIdOf(orders[_anyJob(seed)]);
        uint96 amount = uint96(1 + any % 5 ether);
        _call(owner, abi.encodeCall(escrow.topUp, (jobId, amount)), "topUp", owner, 0);
    }

    function release(uint256 seed, uint256 mask) external {
        if (orders.length == 0) return;
        Order memory order = orders[_anyJob(seed)];
        Lot[] memory list = _lotsOf(order, seed, mask, 0);
        bytes32 jobId = escrow.jobIdOf(order);
        bytes memory acceptance = _acceptance(jobId, list);
        bytes memory approval = _approval(_payerKey(order), jobId, list);
        bytes memory data = abi.encodeCall(escrow.release, (order, list, acceptance, approval));
        _call(stranger, data, "release", address(0), 3);
    }

    function commit(uint256 seed, uint256 mask) external {
        if (orders.length == 0) return;
        uint256 which = _anyJob(seed);
        Order memory order = orders[which];
        bytes32 keyCommit = seed & 1024 == 0 ? bytes32(0) : keccak256(abi.encode(KEY));
        Lot[] memory list = _lotsOf(order, seed, mask, keyCommit);
        bytes memory approval = "";
        bool approves = seed & 0x1800 == 0; // one in four
        if (approves) approval = _approval(_payerKey(order), escrow.jobIdOf(order), list);
        bytes memory data = abi.encodeCall(escrow.commit, (order, list, "", approval));
        if (!_call(settler, data, "commit", address(0), approves ? 3 : 1)) return;
        if (approves) ++done["commit approved"];
        for (uint256 i = 0; i < list.length; ++i) {
            lots.push(list[i]);
            jobOfLot.push(which);
        }
    }

    function approve(uint256 seed) external {
        (Order memory order, Lot memory lot) = _anyLot(seed);
        bytes memory word = _approval(_payerKey(order), escrow.jobIdOf(order), _one(lot));
        bytes memory data = abi.encodeCall(escrow.approve, (order, _one(lot), word));
        _call(stranger, data, "approve", address(0), 2);
    }

    function reject(uint256 seed, uint256 mask) external {
        (Order memory order, Lot memory lot) = _anyLot(seed);
        mask = seed % 3 == 0 ? lot.mask : mask & lot.mask;
        address by = order.approver == address(0) ? order.payer : order.approver;
        bytes memory data = abi.encodeCall(escrow.reject, (order, lot, mask, "reason", ""));
        if (!_call(by, data, "reject", address(0), 2) || seed & 1 == 0) return;
        // Again, with units that are left and units that are not.
        mask = lot.mask & ((mask << 1) | mask | uint256(keccak256(abi.encode(seed))));
        data = abi.encodeCall(escrow.reject, (order, lot, mask, "more", ""));
        if (_call(by, data, "reject", address(0), 2)) ++done["reject again"];
    }

    /// With every consent there is, a lot that was committed stays what it became.
    function recommit(uint256 seed) external {
        (Order memory order, Lot memory lot) = _anyLot(seed);
        bytes32 jobId = escrow.jobIdOf(order);
        bytes memory approval = _approval(_payerKey(order), jobId, _one(lot));
        bytes memory data = abi.encodeCall(escrow.commit, (order, _one(lot), "", approval));
        if (_call(settler, data, "recommit", address(0), 3)) ++intrusions;
        lot.keyCommit = 0;
        approval = _approval(_payerKey(order), jobId, _one(lot));
        data = abi.encodeCall(escrow.release, (order, _one(lot), "", approval));
        // The same units without the seal are another lot, and may be paid if they are free.
        _call(settler, data, "release", address(0), 3);
    }

    function settle(uint256 seed) external {
        (Order memory order, Lot memory lot) = _anyLot(seed);
        bytes32 key = lot.keyCommit == 0 ? bytes32(0) : KEY;
        bytes memory data = abi.encodeCall(escrow.settle, (order, _one(lot), _keys(key)));
        _call(_person(seed), data, "settle", address(0), 0);
    }

    function lapse(uint256 seed) external {
        (Order memory order, Lot memory lot) = _anyLot(seed);
        _call(_person(seed), abi.encodeCall(escrow.lapse, (order, lot)), "lapse", address(0), 0);
    }

    function requestClose(uint256 seed) external {
        // Rarely, or no job would live long.
        if (orders.length == 0 || seed % 8 != 0) return;
        Order memory order = orders[_anyJob(seed >> 8)];
        bytes memory word =
            _sign(_payerKey(order), _digest(Hashes.closeRequest(escrow.jobIdOf(order))));
        bytes memory data = abi.encodeCall(escrow.requestClose, (order, word));
        _call(stranger, data, "requestClose", address(0), 2);
    }

    function close(uint256 seed) external {
        if (orders.length == 0) return;
        Order memory order = orders[_anyJob(seed)];
        _call(_person(seed), abi.encodeCall(escrow.close, (order, "", "")), "close", address(0), 0);
    }

    // ---- time ----

    function pass(uint256 seed) external {
        vm.warp(block.timestamp + seed % 30 minutes);
    }

    /// To the seconds around a lot's window end or lapse.
    function passToADate(uint256 seed) external {
        if (lots.length == 0) return;
        (Order memory order, Lot memory lot) = _anyLot(seed);
        bytes32 lotHash = escrow.lotHashOf(escrow.jobIdOf(order), lot);
        (, uint40 windowEnd,) = escrow.lot(lotHash);
        uint256 date = windowEnd + (seed & 256 == 0 ? 0 : order.claimGrace) + (seed % 3) - 1;
        if (date > block.timestamp && date < block.timestamp + 8 hours) vm.warp(date);
    }

    // ---- without consent: none of this may ever succeed ----

    /// Signed by a stranger, or by the wrong one of the two sides.
    function intrude(uint256 seed, uint256 mask) external {
        if (orders.length == 0) return;
        Order memory order = orders[_anyJob(seed)];
        bytes32 jobId = escrow.jobIdOf(order);
        Lot[] memory list = _lotsOf(order, seed, mask, 0);
        address[3] memory who = [stranger, order.payer, settler];
        address caller = who[(seed >> 16) % 3];
        uint256[3] memory keys = [STRANGER_KEY, _payerKey(order), SETTLER_KEY];
        uint256 key = keys[(seed >> 16) % 3];
        bytes memory yes = _sign(key, _digest(Hashes.acceptance(jobId, _lotsHash(jobId, list))));
        bytes memory ok = _approval(key, jobId, list);
        // One party alone: by its call and both words of its own.
        _intrude(caller, abi.encodeCall(escrow.release, (order, list, yes, ok)));
        if (caller != settler) {
            _intrude(caller, abi.encodeCall(escrow.commit, (order, list, yes, ok)));
        } else {
            _intrude(caller, abi.encodeCall(escrow.commit, (order, list, "", ok)));
        }
        if (caller != order.payer) {
            _intrude(caller, abi.encodeCall(escrow.requestClose, (order, "")));
            _intrude(caller, abi.encodeCall(escrow.approve, (order, list, ok)));
            _intrude(caller, abi.encodeCall(escrow.approve, (order, list, "")));
        }
        uint96 cap = order.cap;
        order.salt = bytes32(seed);
        order.cap = uint96(1 + seed % cap);
        _intrude(stranger, abi.encodeCall(escrow.openFor, (order, order.payer, ok)));
    }

    /// Whoever may not reject tries to, and whoever may lapse or settle tries too early.
    function intrudeOnALot(uint256 seed) external {
        (Order memory order, Lot memory lot) = _anyLot(seed);
        bytes32 jobId = escrow.jobIdOf(order);
        bytes32 lotHash = escrow.lotHashOf(jobId, lot);
        bytes memory word = _rejection(STRANGER_KEY, jobId, lot, lot.mask, "reason");
        _intrude(stranger, abi.encodeCall(escrow.reject, (order, lot, lot.mask, "reason", word)));
        bytes memory asCaller = abi.encodeCall(escrow.reject, (order, lot, lot.mask, "reason", ""));
        // A payer may be a node of its own job, and then rejects by right.
        _intrude(settler, asCaller);
        if (lot.node != order.payer) _intrude(lot.node, asCaller);
        (uint8 status, uint40 windowEnd,) = escrow.lot(lotHash);
        bytes32 key = lot.keyCommit == 0 ? bytes32(0) : KEY;
        bytes memory data = abi.encodeCall(escrow.settle, (order, _one(lot), _keys(key)));
        if (status == 1 && block.timestamp < windowEnd) _intrude(lot.node, data);
        data = abi.encodeCall(escrow.settle, (order, _one(lot), _keys("wrong")));
        _intrude(lot.node, data);
        if (block.timestamp < uint256(windowEnd) + order.claimGrace) {
            _intrude(order.payer, abi.encodeCall(escrow.lapse, (order, lot)));
        }
    }

    // ---- what the acts have in common ----

    /// `sides`: 1 the settler, 2 the payer's side, 3 both have consented.
    function _call(
        address caller,
        bytes memory data,
        string memory act,
        address owner,
        uint256 sides
    ) private returns (bool succeeded) {
        vm.recordLogs();
        vm.prank(caller);
        (succeeded,) = address(escrow).call(data);
        // Recorded logs hold those of a reverted call too.
        Vm.Log[] memory logs = vm.getRecordedLogs();
        if (!succeeded) return false;
        ++done[act];
        Fold.Consent memory given = Fold.Consent(owner, sides & 1 != 0, sides & 2 != 0);
        fold.fold(logs, address(escrow), given);
    }

    function _intrude(address caller, bytes memory data) private {
        if (_call(caller, data, "intrusion", address(0), 0)) ++intrusions;
    }

    function _person(uint256 seed) private view returns (address) {
        address[9] memory people = [
            payer,
            vm.addr(SECOND_PAYER_KEY),
            approver,
            settler,
            node,
            otherNode,
            treasury,
            fees,
            stranger
        ];
        return people[uint256(keccak256(abi.encode(seed))) % 9];
    }

    function _payerKey(Order memory order) private view returns (uint256) {
        return order.payer == payer ? PAYER_KEY : SECOND_PAYER_KEY;
    }

    function _orderOf(uint256 seed) private view returns (Order memory order) {
        order = _order();
        order.payer = seed & 4 == 0 ? payer : vm.addr(SECOND_PAYER_KEY);
        order.approver = seed & 8 == 0 ? address(0) : approver;
        order.refundTo = seed & 16 == 0 ? order.payer : seed & 32 == 0 ? treasury : node;
        order.units = uint32(1 + (seed >> 8) % 520);
        order.cap = uint96(1 + (seed >> 64) % 100 ether);
        order.openBy = uint40(block.timestamp + 1);
        order.workDeadline = uint40(order.openBy + (seed >> 32) % 1 days);
        order.reviewSeconds = uint40(10 minutes + (seed >> 48) % 4 hours);
        order.claimGrace = uint40(1 hours + (seed >> 56) % 4 hours);
        order.feeBps = uint16((seed >> 160) % 1001);
        order.burnBps = uint16((seed >> 176) % (10_001 - order.feeBps));
        order.salt = bytes32(seed);
    }

    /// One or two lots on units that are mostly free and mostly exist.
    function _lotsOf(Order memory order, uint256 seed, uint256 mask, bytes32 keyCommit)
        private
        view
        returns (Lot[] memory list)
    {
        uint256 words = (uint256(order.units) + 255) / 256;
        Lot memory first = _lotAt(order, seed, uint32((seed >> 16) % words), mask, keyCommit);
        if (seed & (1 << 200) == 0) return _one(first);
        Lot memory second = _lotAt(order, seed >> 8, uint32((seed >> 24) % words), ~mask, 0);
        return _two(first, second);
    }

    function _lotAt(Order memory order, uint256 seed, uint32 word, uint256 mask, bytes32 keyCommit)
        private
        view
        returns (Lot memory lot)
    {
        // Sparse masks, so that a job takes several lots.
        mask &= uint256(keccak256(abi.encode(seed))) & uint256(keccak256(abi.encode(mask)));
        uint256 inWord = order.units - uint256(word) * 256;
        bool tidy = seed & (1 << 201) == 0;
        if (tidy && inWord < 256) mask &= (1 << inWord) - 1;
        if (tidy) mask &= ~escrow.takenUnits(escrow.jobIdOf(order), word);
        lot = _lotOf(seed & (1 << 202) == 0 ? node : order.payer, word, mask, keyCommit);
        lot.unitPrice = uint96(1 + (seed >> 96) % 0.2 ether);
        lot.receiptsRoot = bytes32(seed);
    }

    /// Mostly one of the newest.
    function _anyJob(uint256 seed) private view returns (uint256) {
        uint256 count = orders.length;
        if (count <= LIVELY_JOBS || seed % 16 == 0) return (seed >> 4) % count;
        return count - 1 - (seed >> 4) % LIVELY_JOBS;
    }

    function _anyLot(uint256 seed) private view returns (Order memory, Lot memory) {
        uint256 count = lots.length;
        vm.assume(count != 0);
        uint256 which = (seed >> 16) % count;
        if (count > LIVELY_LOTS && seed & 0xf000 != 0) {
            which = count - 1 - (seed >> 16) % LIVELY_LOTS;
        }
        return (orders[jobOfLot[which]], lots[which]);
    }
}
