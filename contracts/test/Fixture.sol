// SPDX-License-Identifier: MIT OR Apache-2.0
// Actors with keys and money, ready-made orders and lots, and the signatures they need.
pragma solidity 0.8.37;

import {Hashes, Lot, Order, Payout} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {LegacyRndr} from "./doubles/LegacyRndr.sol";
import {Vm} from "./Vm.sol";

abstract contract Fixture {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    address internal constant DEAD = 0x000000000000000000000000000000000000dEaD;

    uint256 internal constant START = 1_790_000_000;
    uint96 internal constant PRICE = 1 ether;
    uint96 internal constant CAP = 300 ether;
    uint96 internal constant WEALTH = 10_000 ether;
    uint16 internal constant FEE_BPS = 500;
    uint16 internal constant BURN_BPS = 100;
    uint40 internal constant REVIEW = 3 days;
    uint40 internal constant GRACE = 1 days;
    bytes32 internal constant KEY = keccak256("lot key");

    uint256 internal constant PAYER_KEY = 0xA11CE;
    uint256 internal constant APPROVER_KEY = 0xA99;
    uint256 internal constant SETTLER_KEY = 0x5E771E;
    uint256 internal constant STRANGER_KEY = 0xBAD;

    address internal payer = vm.addr(PAYER_KEY);
    address internal approver = vm.addr(APPROVER_KEY);
    address internal settler = vm.addr(SETTLER_KEY);
    address internal stranger = vm.addr(STRANGER_KEY);
    address internal issuer = address(0x155E8);
    address internal guardian = address(0x6A4D);
    address internal treasury = address(0x7EA5);
    address internal fees = address(0xFEE5);
    address internal node = address(0x40DE);
    address internal otherNode = address(0x40DE2);

    LegacyRndr internal rndr;
    RenderEscrow internal escrow;

    function setUp() public virtual {
        vm.warp(START);
        rndr = new LegacyRndr();
        escrow = new RenderEscrow(address(rndr), issuer, guardian);
        _fund(payer);
    }

    // ---- money and terms ----

    function _fund(address owner) internal {
        rndr.mint(owner, WEALTH);
        vm.prank(owner);
        rndr.approve(address(escrow), type(uint256).max);
    }

    function _deposit(address owner, uint96 amount) internal {
        vm.prank(owner);
        escrow.deposit(amount);
    }

    /// 300 units in two words, fee 5 %, burn 1 %, an approver, money back to the treasury.
    function _order() internal view returns (Order memory) {
        return Order({
            payer: payer,
            refundTo: treasury,
            approver: approver,
            settler: settler,
            feeReceiver: fees,
            cap: CAP,
            maxUnitPrice: PRICE,
            units: 300,
            openBy: uint40(START + 1 hours),
            workDeadline: uint40(START + 10 days),
            reviewSeconds: REVIEW,
            claimGrace: GRACE,
            feeBps: FEE_BPS,
            burnBps: BURN_BPS,
            specHash: keccak256("spec"),
            quoteHash: keccak256("quote"),
            salt: keccak256("salt")
        });
    }

    function _open(Order memory order) internal returns (bytes32) {
        vm.prank(order.payer);
        return escrow.open(order);
    }

    function _opened() internal returns (Order memory order, bytes32 jobId) {
        order = _order();
        jobId = _open(order);
    }

    function _lot(uint256 mask) internal view returns (Lot memory) {
        return _lotOf(node, 0, mask, 0);
    }

    function _sealed(uint256 mask) internal view returns (Lot memory) {
        return _lotOf(node, 0, mask, keccak256(abi.encode(KEY)));
    }

    function _lotOf(address to, uint32 word, uint256 mask, bytes32 keyCommit)
        internal
        pure
        returns (Lot memory)
    {
        return Lot({
            node: to,
            word: word,
            mask: mask,
            unitPrice: PRICE,
            receiptsRoot: keccak256("receipts"),
            keyCommit: keyCommit
        });
    }

    function _one(Lot memory lot) internal pure returns (Lot[] memory lots) {
        lots = new Lot[](1);
        lots[0] = lot;
    }

    function _two(Lot memory first, Lot memory second) internal pure returns (Lot[] memory lots) {
        lots = new Lot[](2);
        lots[0] = first;
        lots[1] = second;
    }

    function _keys(bytes32 key) internal pure returns (bytes32[] memory keys) {
        keys = new bytes32[](1);
        keys[0] = key;
    }

    // ---- credit and vouchers ----

    function _issue(address to, uint96 amount) internal {
        rndr.mint(issuer, amount);
        vm.startPrank(issuer);
        rndr.approve(address(escrow), amount);
        escrow.issueCredit(to, amount);
        vm.stopPrank();
    }

    function _nameSettler(address named) internal {
        vm.prank(issuer);
        escrow.nameSettler(named);
    }

    function _pause(uint256 until) internal {
        vm.prank(guardian);
        escrow.pause(uint40(until));
    }

    function _setDelegate(address agent, uint96 allowance, uint96 maxPerJob, uint256 expiry)
        internal
    {
        vm.prank(payer);
        escrow.setDelegate(agent, settler, allowance, maxPerJob, uint40(expiry));
    }

    /// As `_order`, for calls instead of units.
    function _voucherOrder() internal view returns (Order memory order) {
        order = _order();
        order.units = 0;
        order.maxUnitPrice = 0;
    }

    function _payout(address to, uint96 amount) internal pure returns (Payout[] memory payouts) {
        payouts = new Payout[](1);
        payouts[0] = Payout(to, amount);
    }

    function _payouts(address to, uint96 amount, address other, uint96 rest)
        internal
        pure
        returns (Payout[] memory payouts)
    {
        payouts = new Payout[](2);
        payouts[0] = Payout(to, amount);
        payouts[1] = Payout(other, rest);
    }

    function _payoutsHash(Payout[] memory payouts) internal pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](payouts.length);
        for (uint256 i = 0; i < payouts.length; ++i) {
            hashes[i] = keccak256(abi.encode(Hashes.PAYOUT, payouts[i]));
        }
        return Hashes.list(hashes);
    }

    function _redemptionAct(bytes32 jobId, uint96 cumulative, Payout[] memory payouts)
        internal
        pure
        returns (bytes32)
    {
        return Hashes.redemption(jobId, cumulative, _payoutsHash(payouts));
    }

    function _voucher(bytes32 jobId, uint96 cumulative) internal view returns (bytes memory) {
        return _sign(PAYER_KEY, _digest(Hashes.voucher(jobId, cumulative)));
    }

    function _redemption(bytes32 jobId, uint96 cumulative, Payout[] memory payouts)
        internal
        view
        returns (bytes memory)
    {
        return _sign(SETTLER_KEY, _digest(_redemptionAct(jobId, cumulative, payouts)));
    }

    function _redeem(Order memory order, uint96 cumulative, Payout[] memory payouts) internal {
        bytes memory voucher = _voucher(escrow.jobIdOf(order), cumulative);
        vm.prank(order.settler);
        escrow.redeem(order, cumulative, voucher, payouts, "");
    }

    // ---- signatures ----

    function _closeWord(uint256 key, bytes32 jobId) internal view returns (bytes memory) {
        return _sign(key, _digest(Hashes.close(jobId)));
    }

    function _digest(bytes32 structHash) internal view returns (bytes32) {
        (,, string memory version, uint256 chain, address verifying,,) = escrow.eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,"
                    "address verifyingContract)"
                ),
                keccak256("RenderEscrow"),
                keccak256(bytes(version)),
                chain,
                verifying
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _lotsHash(bytes32 jobId, Lot[] memory lots) internal view returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](lots.length);
        for (uint256 i = 0; i < lots.length; ++i) {
            hashes[i] = escrow.lotHashOf(jobId, lots[i]);
        }
        return Hashes.list(hashes);
    }

    function _acceptance(bytes32 jobId, Lot[] memory lots) internal view returns (bytes memory) {
        bytes32 act = Hashes.acceptance(jobId, _lotsHash(jobId, lots));
        return _sign(SETTLER_KEY, _digest(act));
    }

    function _approval(uint256 key, bytes32 jobId, Lot[] memory lots)
        internal
        view
        returns (bytes memory)
    {
        return _sign(key, _digest(Hashes.approval(jobId, _lotsHash(jobId, lots))));
    }

    function _rejection(uint256 key, bytes32 jobId, Lot memory lot, uint256 mask, bytes32 reason)
        internal
        view
        returns (bytes memory)
    {
        bytes32 lotHash = escrow.lotHashOf(jobId, lot);
        return _sign(key, _digest(Hashes.rejection(jobId, lotHash, mask, reason)));
    }

    // ---- acts ----

    function _release(Order memory order, Lot memory lot) internal {
        bytes32 jobId = escrow.jobIdOf(order);
        bytes memory approval = _approval(PAYER_KEY, jobId, _one(lot));
        vm.prank(order.settler);
        escrow.release(order, _one(lot), "", approval);
    }

    function _commit(Order memory order, Lot memory lot) internal returns (bytes32) {
        vm.prank(order.settler);
        escrow.commit(order, _one(lot), "", "");
        return escrow.lotHashOf(escrow.jobIdOf(order), lot);
    }

    // ---- expectations ----

    /// The next call must emit exactly the event that the test emits next.
    function _emits() internal {
        vm.expectEmit(true, true, true, true, address(escrow));
    }

    function _fails(bytes memory data) internal {
        vm.expectRevert(data);
    }

    function _signerRefused(address signer, uint256 expiry) internal view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_SignerRefused.selector,
            signer,
            payer,
            expiry,
            block.timestamp
        );
    }

    function _callerRefused(address caller, address wanted, address orWanted) internal {
        vm.expectRevert(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_CallerRefused.selector, caller, wanted, orWanted
            )
        );
    }

    function _signatureRefused(bytes32 act, address wanted, address orWanted) internal {
        vm.expectRevert(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_SignatureRefused.selector,
                _digest(act),
                wanted,
                orWanted
            )
        );
    }

    function _isPaused(uint256 until) internal {
        vm.expectRevert(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_IsPaused.selector, until, block.timestamp
            )
        );
    }

    function _free(address owner) internal view returns (uint256 free) {
        (free,,) = escrow.account(owner);
    }

    function _creditOf(address owner) internal view returns (uint256 credit) {
        (, credit,) = escrow.account(owner);
    }

    function _checkAccount(address owner, uint256 free, uint256 seq) internal view {
        (uint96 isFree,, uint64 isSeq) = escrow.account(owner);
        vm.assertEq(isFree, free, "free balance");
        vm.assertEq(isSeq, seq, "account seq");
    }

    function _checkBalances(address owner, uint256 free, uint256 credit, uint256 seq)
        internal
        view
    {
        _checkAccount(owner, free, seq);
        vm.assertEq(_creditOf(owner), credit, "credit");
    }

    function _checkCreditShare(bytes32 jobId, uint256 creditShare) internal view {
        (,,,,,,, uint96 isShare) = escrow.job(jobId);
        vm.assertEq(isShare, creditShare, "credit share");
    }

    function _checkOffices(address named, uint256 until, uint256 seq) internal view {
        (address isIssuer, address isGuardian, address isNamed, uint40 isUntil, uint56 isSeq) =
            escrow.offices();
        vm.assertEq(isIssuer, issuer, "issuer");
        vm.assertEq(isGuardian, guardian, "guardian");
        vm.assertEq(isNamed, named, "credit settler");
        vm.assertEq(isUntil, until, "paused until");
        vm.assertEq(isSeq, seq, "offices seq");
    }

    function _checkJob(
        bytes32 jobId,
        uint256 funded,
        uint256 released,
        uint256 pending,
        uint256 unitsPaid,
        uint256 seq,
        uint256 status
    ) internal view {
        (uint96 a, uint96 b, uint96 c, uint32 d, uint32 e, uint8 f,,) = escrow.job(jobId);
        vm.assertEq(a, funded, "funded");
        vm.assertEq(b, released, "released");
        vm.assertEq(c, pending, "pending");
        vm.assertEq(d, unitsPaid, "unitsPaid");
        vm.assertEq(e, seq, "job seq");
        vm.assertEq(f, status, "job status");
    }

    function _checkLot(bytes32 lotHash, uint256 status, uint256 windowEnd, uint256 rejected)
        internal
        view
    {
        (uint8 isStatus, uint40 isEnd, uint256 isRejected) = escrow.lot(lotHash);
        vm.assertEq(isStatus, status, "lot status");
        vm.assertEq(isEnd, windowEnd, "window end");
        vm.assertEq(isRejected, rejected, "rejected mask");
    }

    function _checkTaken(bytes32 jobId, uint32 word, uint256 mask) internal view {
        vm.assertEq(escrow.takenUnits(jobId, word), mask, "taken units");
    }

    /// Events of the escrow since `vm.recordLogs`: so many, and no other.
    function _checkEventCount(uint256 count) internal {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 ours = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == address(escrow)) ++ours;
        }
        vm.assertEq(ours, count, "events");
    }
}
