// SPDX-License-Identifier: MIT OR Apache-2.0
// Attacks by stolen delegate, issuer and guardian keys, on credit, and bugs that peers published.
pragma solidity 0.8.37;

import {Hashes, Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {HostileWallet} from "./doubles/Wallets.sol";
import {Fixture} from "./Fixture.sol";
import {Vm} from "./Vm.sol";

contract AccountAttacksTest is Fixture {
    uint256 private constant AGENT_KEY = 0xA6E7;
    uint96 private constant ALLOWANCE = 2 * CAP + 5;

    address private agent = vm.addr(AGENT_KEY);
    Order private order;
    bytes32 private jobId;

    struct Exit {
        string name;
        address caller;
        bytes data;
    }

    Exit[] private exits;

    function setUp() public override {
        super.setUp();
        _deposit(payer, 4 * CAP);
        _setDelegate(agent, ALLOWANCE, CAP, START + 1 days);
        order = _order();
        order.refundTo = payer;
    }

    // ---- a stolen delegate key ----

    function test_StolenDelegateKeyIsBoundedByItsAllowance() public {
        // It opens all it may, as fast as it can, and names itself the approver.
        order.approver = agent;
        Order[] memory orders = new Order[](3);
        for (uint256 i = 0; i < 3; ++i) {
            order.cap = i < 2 ? CAP : 5;
            order.salt = bytes32(i);
            orders[i] = order;
            vm.prank(agent);
            escrow.openFor(order, agent, "");
        }
        order.cap = 1;
        vm.prank(agent);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_AllowanceTooLow.selector, agent, 1, 0, CAP
            )
        );
        escrow.openFor(order, agent, "");
        vm.assertEq(_free(payer), 4 * uint256(CAP) - ALLOWANCE, "what it could not reach");
        // It pays nobody, and at the end all of it is the payer's again.
        vm.warp(uint256(order.workDeadline) + order.claimGrace);
        for (uint256 i = 0; i < 3; ++i) {
            escrow.close(orders[i], "", "");
        }
        vm.assertEq(_free(payer), 4 * uint256(CAP), "the payer's money");
        vm.assertEq(_free(agent), 0, "the thief's money");
    }

    function test_StolenDelegateKeyPaysNobodyWithoutTheNamedSettler() public {
        order.approver = agent;
        vm.startPrank(agent);
        escrow.openFor(order, agent, "");
        Lot[] memory lots = _one(_lotOf(agent, 0, 1, 0));
        _callerRefused(agent, settler, address(0));
        escrow.release(order, lots, "", "");
        _callerRefused(agent, settler, address(0));
        escrow.commit(order, lots, "", "");
        Order memory calls = _voucherOrder();
        calls.refundTo = payer;
        calls.approver = agent;
        escrow.openFor(calls, agent, "");
        _callerRefused(agent, settler, address(0));
        escrow.redeem(calls, CAP, "", _payout(agent, CAP), "");
        bytes32 callsId = escrow.jobIdOf(calls);
        bytes memory word = _closeWord(AGENT_KEY, callsId);
        _signatureRefused(Hashes.close(callsId), settler, address(0));
        escrow.close(calls, "", word);
    }

    function test_StolenDelegateKeyNeverWithdraws() public {
        vm.startPrank(agent);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_FreeTooLow.selector, agent, 1, 0));
        escrow.withdraw(1, agent);
        // Nor does it set a delegate for the payer: what it sets is its own account's.
        escrow.setDelegate(stranger, settler, CAP, CAP, uint40(START + 1 days));
        vm.stopPrank();
        vm.prank(stranger);
        _fails(_signerRefused(stranger, 0));
        escrow.openFor(order, stranger, "");
    }

    function test_StolenDelegateKeyChoosesNeitherRefundToNorSettler() public {
        vm.startPrank(agent);
        order.refundTo = agent;
        _fails(_termRefused("refundTo", agent, payer));
        escrow.openFor(order, agent, "");
        order.refundTo = payer;
        order.settler = stranger;
        _fails(_termRefused("settler", stranger, settler));
        escrow.openFor(order, agent, "");
    }

    function test_DelegatesSignatureOpensOnce() public {
        jobId = escrow.jobIdOf(order);
        bytes memory word = _sign(AGENT_KEY, jobId);
        escrow.openFor(order, agent, word);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_JobKnown.selector, jobId, uint8(1))
        );
        escrow.openFor(order, agent, word);
        (, uint96 allowance,,) = escrow.delegate(payer, agent);
        vm.assertEq(allowance, ALLOWANCE - CAP, "allowance");
    }

    function test_RevocationStopsOpeningsAndVoidsNoWordOnAnOpenJob() public {
        order.approver = agent;
        vm.prank(agent);
        jobId = escrow.openFor(order, agent, "");
        bytes memory approval = _approval(AGENT_KEY, jobId, _one(_lot(1)));
        vm.prank(payer);
        escrow.revokeDelegate(agent);
        vm.prank(settler);
        escrow.release(order, _one(_lot(1)), "", approval);
        vm.assertEq(_free(node), 0.94 ether, "the node's pay");
        order.salt = "second";
        vm.prank(agent);
        _fails(_signerRefused(agent, 0));
        escrow.openFor(order, agent, "");
    }

    function test_DelegateThatTakesCodeKeepsItsWord() public {
        // EIP-7702: its key signed, whatever the code at its address says now.
        bytes memory word = _sign(AGENT_KEY, escrow.jobIdOf(order));
        vm.etch(agent, address(new HostileWallet(HostileWallet.Way.Reverts)).code);
        jobId = escrow.openFor(order, agent, word);
        _checkJob(jobId, CAP, 0, 0, 0, 2, 1);
    }

    // ---- credit ----

    function test_CreditIsNotCashedThroughAnOwnSettler() public {
        _credited();
        address accomplice = stranger;
        order.settler = accomplice;
        jobId = _open(order);
        // The job opened with free money; its payer can burn that, and no credit.
        _checkCreditShare(jobId, 0);
        vm.assertEq(_creditOf(payer), CAP, "credit");
    }

    function test_CreditIsNotCashedThroughAnOwnNode() public {
        _credited();
        jobId = _open(order);
        vm.startPrank(payer);
        _callerRefused(payer, settler, address(0));
        escrow.release(order, _one(_lotOf(payer, 0, 1, 0)), "", "");
        _callerRefused(payer, settler, address(0));
        escrow.commit(order, _one(_lotOf(payer, 0, 1, 0)), "", "");
        vm.stopPrank();
        vm.warp(uint256(order.workDeadline) + order.claimGrace);
        escrow.close(order, "", "");
        vm.assertEq(_creditOf(payer), CAP, "credit, as before");
        vm.assertEq(_free(payer), 4 * uint256(CAP), "free money, as before");
    }

    /// At most the fee of 10 % that the order names, of what the named settler let be paid.
    function test_CreditCashedThroughAnOwnFeeReceiverIsATenthOfWhatTheSettlerPaid() public {
        _credited();
        order.feeReceiver = payer;
        order.feeBps = 1000;
        order.burnBps = 0;
        jobId = _open(order);
        uint256 before = _free(payer);
        _release(order, _lot(0x3ff));
        vm.assertEq(_free(payer) - before, 1 ether, "a tenth of ten");
        vm.assertEq(_free(node), 9 ether, "the node's pay");
    }

    function test_CreditIsNotCashedThroughRefundTo() public {
        _credited();
        order.refundTo = stranger;
        jobId = _open(order);
        bytes memory word = _closeWord(SETTLER_KEY, jobId);
        vm.prank(payer);
        escrow.close(order, "", word);
        vm.assertEq(_free(stranger), 0, "refundTo's free money");
        vm.assertEq(_creditOf(stranger), 0, "refundTo's credit");
        vm.assertEq(_creditOf(payer), CAP, "credit");
    }

    function test_CreditIsNotLaunderedByOpeningForAnother() public {
        _credited();
        // The holder opens a job of another payer, to whom the rest would return.
        order.payer = stranger;
        order.refundTo = stranger;
        vm.prank(payer);
        jobId = escrow.open(order);
        _checkCreditShare(jobId, 0);
        vm.assertEq(_creditOf(payer), CAP, "credit");
        vm.assertEq(_free(payer), 3 * uint256(CAP), "free money, which paid");
    }

    function test_StolenIssuerKeyTouchesNobodysMoney() public {
        _credited();
        uint256 held = rndr.balanceOf(address(escrow));
        rndr.mint(issuer, 7);
        vm.startPrank(issuer);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_PullFailed.selector, issuer, 1, 7, 0)
        );
        escrow.issueCredit(issuer, 1);
        // Its own settler gets no payer's word.
        escrow.nameSettler(issuer);
        order.settler = issuer;
        _fails(_signerRefused(issuer, 0));
        escrow.openFor(order, issuer, "");
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_FreeTooLow.selector, issuer, 1, 0)
        );
        escrow.withdraw(1, issuer);
        vm.assertEq(_creditOf(payer), CAP, "credit");
        vm.assertEq(rndr.balanceOf(address(escrow)), held, "tokens held");
    }

    // ---- pause ----

    function test_StolenGuardianKeyStopsTheWaysInForAWeekIn37Days() public {
        uint256 paused = 0;
        // Whatever it tries each hour of 74 days, two weeks is all that it gets.
        for (uint256 hour = 0; hour < 74 * 24; ++hour) {
            // The optimiser reads the block's time once, before the loop: so it is counted here.
            uint256 time = START + hour * 1 hours;
            vm.warp(time);
            vm.prank(guardian);
            (bool done,) =
                address(escrow).call(abi.encodeCall(escrow.pause, (uint40(time + 7 days))));
            done;
            (,,, uint40 until,) = escrow.offices();
            if (time < until) ++paused;
        }
        vm.assertEq(paused, 2 * 7 * 24, "hours of pause");
    }

    function test_GuardianCannotExtendAPause() public {
        _pause(START + 1 hours);
        vm.startPrank(guardian);
        _fails(_pauseTooSoon(START + 1 hours + 30 days));
        escrow.pause(uint40(START + 2 hours));
        // Not by ending it first either.
        escrow.unpause();
        _fails(_pauseTooSoon(START + 30 days));
        escrow.pause(uint40(START + 2 hours));
    }

    /// Livepeer's pause kept money in: here every exit does the same, paused or not.
    function test_PauseChangesNoExitsResult() public {
        _readyExits();
        for (uint256 i = 0; i < exits.length; ++i) {
            uint256 before = vm.snapshotState();
            bytes32 running = _exit(exits[i]);
            vm.revertToState(before);
            before = vm.snapshotState();
            vm.prank(guardian);
            escrow.pause(uint40(block.timestamp + 7 days));
            bytes32 paused = _exit(exits[i]);
            vm.assertEq(paused, running, exits[i].name);
            vm.revertToState(before);
        }
        vm.assertEq(exits.length, 13, "exits");
    }

    // ---- bugs that peers published ----

    /// Lilypad's time-outs had other selectors than their interface, so nobody could reach them.
    function test_TimeoutsAreReachedThroughTheInterface() public {
        IRenderEscrow face = IRenderEscrow(address(escrow));
        jobId = _open(order);
        _commit(order, _sealed(1));
        _commit(order, _lot(2));
        vm.warp(uint256(order.workDeadline) + order.claimGrace);
        vm.startPrank(stranger);
        face.lapse(order, _sealed(1));
        face.settle(order, _one(_lot(2)), _keys(0));
        face.close(order, "", "");
        face.burn();
        vm.stopPrank();
        vm.prank(node);
        face.withdraw(0.94 ether, node);
        _checkJob(jobId, 1 ether, 1 ether, 0, 1, 7, 2);
    }

    function test_FeeIsPaidOnceHoweverAJobIsPaid() public {
        order.units = 4;
        order.cap = 10 ether;
        jobId = _open(order);
        vm.prank(payer);
        escrow.topUp(jobId, 1 ether);
        _release(order, _lot(1));
        _commit(order, _sealed(6));
        vm.prank(payer);
        escrow.reject(order, _sealed(6), 2, "", "");
        vm.warp(START + REVIEW);
        escrow.settle(order, _one(_sealed(6)), _keys(KEY));
        _release(order, _lot(0xa));
        escrow.close(order, "", "");
        (, uint96 released,,,,,,) = escrow.job(jobId);
        vm.assertEq(released, 4 ether, "released");
        vm.assertEq(_free(fees), 0.2 ether, "5 % of it, once");
        vm.assertEq(_free(DEAD), 0.04 ether, "1 % of it, once");
    }

    function test_TransactionsOriginIsNobody() public {
        jobId = _open(order);
        vm.prank(stranger, payer);
        _callerRefused(stranger, payer, approver);
        escrow.requestClose(order, "");
        vm.prank(stranger, payer);
        _fails(
            abi.encodeWithSelector(IRenderEscrow.RenderEscrow_FreeTooLow.selector, stranger, 1, 0)
        );
        escrow.withdraw(1, stranger);
        vm.prank(stranger, guardian);
        _callerRefused(stranger, guardian, address(0));
        escrow.pause(uint40(START + 1));
        vm.prank(stranger, issuer);
        _callerRefused(stranger, issuer, address(0));
        escrow.nameSettler(stranger);
        order.salt = "second";
        vm.prank(stranger, payer);
        _callerRefused(stranger, payer, address(0));
        escrow.openFor(order, payer, "");
    }

    // ---- what the attacks have in common ----

    function _credited() private {
        _issue(payer, CAP);
        _nameSettler(settler);
    }

    /// One job with lots in every state and one for vouchers, at a time when all exits are due.
    function _readyExits() private {
        order.claimGrace = 1 hours;
        jobId = _open(order);
        Order memory calls = _voucherOrder();
        bytes32 callsId = _open(calls);
        _commit(order, _sealed(1));
        _commit(order, _lot(2));
        vm.warp(START + REVIEW + 1 hours);
        _release(order, _lot(4));
        _commit(order, _sealed(8));
        bytes memory approval = _approval(PAYER_KEY, jobId, _one(_lot(16)));
        bytes memory voucher = _voucher(callsId, 100);
        bytes memory word = _closeWord(SETTLER_KEY, jobId);
        _exitOf("withdraw", payer, abi.encodeCall(escrow.withdraw, (7, treasury)));
        _exitOf("burn", stranger, abi.encodeCall(escrow.burn, ()));
        _exitOf("release", settler, _releaseCall(approval));
        _exitOf("commit", settler, abi.encodeCall(escrow.commit, (order, _one(_lot(16)), "", "")));
        _exitOf("approve", payer, abi.encodeCall(escrow.approve, (order, _one(_sealed(8)), "")));
        _exitOf("reject", payer, abi.encodeCall(escrow.reject, (order, _sealed(8), 8, "", "")));
        _exitOf("settle", node, abi.encodeCall(escrow.settle, (order, _one(_lot(2)), _keys(0))));
        _exitOf("lapse", stranger, abi.encodeCall(escrow.lapse, (order, _sealed(1))));
        _exitOf("redeem", settler, _redeemCall(calls, voucher));
        _exitOf("requestClose", payer, abi.encodeCall(escrow.requestClose, (order, "")));
        _exitOf("close", payer, abi.encodeCall(escrow.close, (order, "", word)));
        _exitOf("revokeDelegate", payer, abi.encodeCall(escrow.revokeDelegate, (agent)));
        _exitOf("nameSettler", issuer, abi.encodeCall(escrow.nameSettler, (settler)));
    }

    function _releaseCall(bytes memory approval) private view returns (bytes memory) {
        return abi.encodeCall(escrow.release, (order, _one(_lot(16)), "", approval));
    }

    function _redeemCall(Order memory calls, bytes memory voucher)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(escrow.redeem, (calls, 100, voucher, _payout(node, 100), ""));
    }

    function _exitOf(string memory name, address caller, bytes memory data) private {
        exits.push(Exit(name, caller, data));
    }

    /// All that the exit told, which is all that it changed, but for the offices' own number.
    function _exit(Exit memory way) private returns (bytes32 told) {
        vm.recordLogs();
        vm.prank(way.caller);
        (bool done,) = address(escrow).call(way.data);
        vm.assertTrue(done, way.name);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            bytes memory data = logs[i].data;
            if (logs[i].topics[0] == IRenderEscrow.CreditSettlerNamed.selector) data = "";
            told = keccak256(abi.encode(told, logs[i].topics, data, logs[i].emitter));
        }
    }

    function _termRefused(bytes32 term, address given, address wanted)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_DelegateTermRefused.selector, term, given, wanted
        );
    }

    function _pauseTooSoon(uint256 from) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_PauseTooSoon.selector, from, block.timestamp
        );
    }
}
