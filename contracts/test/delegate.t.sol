// SPDX-License-Identifier: MIT OR Apache-2.0
// Every branch of setDelegate and revokeDelegate, and of openFor by a delegate.
pragma solidity 0.8.37;

import {Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {OwnedWallet} from "./doubles/Wallets.sol";
import {Fixture} from "./Fixture.sol";

contract DelegateTest is Fixture {
    uint256 private constant AGENT_KEY = 0xA6E7;
    uint256 private constant EXPIRY = START + 30 minutes;

    address private agent = vm.addr(AGENT_KEY);

    // ---- setDelegate ----

    function test_setDelegate_RefusesAZeroOrOwnAgent() public {
        _refusesAccounts(address(0), settler, address(0));
        _refusesAccounts(address(escrow), settler, address(escrow));
    }

    function test_setDelegate_RefusesAZeroOrOwnSettler() public {
        _refusesAccounts(agent, address(0), address(0));
        _refusesAccounts(agent, address(escrow), address(escrow));
        _checkDelegate(payer, agent, address(0), 0, 0, 0);
        _checkAccount(payer, 0, 0);
    }

    function test_setDelegate_RefusesAnExpiryThatIsNotAhead() public {
        for (uint256 back = 0; back < 2; ++back) {
            vm.prank(payer);
            _fails(_signerRefused(agent, START - back));
            escrow.setDelegate(agent, settler, 1, 1, uint40(START - back));
        }
        _setDelegate(agent, 1, 1, START + 1);
        _checkDelegate(payer, agent, settler, 1, 1, START + 1);
    }

    function test_setDelegate_KeepsTheBoundsOfTheCallersAgentAlone() public {
        vm.recordLogs();
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.DelegateSet(payer, agent, settler, 7, 3, uint40(EXPIRY), 1);
        escrow.setDelegate(agent, settler, 7, 3, uint40(EXPIRY));
        _checkEventCount(1);
        _checkDelegate(payer, agent, settler, 7, 3, EXPIRY);
        _checkDelegate(stranger, agent, address(0), 0, 0, 0);
        _checkDelegate(payer, stranger, address(0), 0, 0, 0);
        _checkBalances(payer, 0, 0, 1);
        _checkAccount(agent, 0, 0);
    }

    function test_setDelegate_ReplacesWhatWasSet() public {
        _setDelegate(agent, 7, 3, EXPIRY);
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.DelegateSet(payer, agent, stranger, 0, 9, uint40(EXPIRY + 5), 2);
        escrow.setDelegate(agent, stranger, 0, 9, uint40(EXPIRY + 5));
        _checkDelegate(payer, agent, stranger, 0, 9, EXPIRY + 5);
        _checkAccount(payer, 0, 2);
    }

    function test_setDelegate_KeepsTheWidestBounds() public {
        uint96 most = type(uint96).max;
        _deposit(payer, 1);
        _setDelegate(agent, most, most - 1, type(uint40).max);
        _checkDelegate(payer, agent, settler, most, most - 1, type(uint40).max);
        _checkBalances(payer, 1, 0, 2);
    }

    // ---- revokeDelegate ----

    function test_revokeDelegate_RefusesAnAgentThatWasNeverSet() public {
        vm.prank(payer);
        _fails(_unknown(payer));
        escrow.revokeDelegate(agent);
    }

    function test_revokeDelegate_RefusesAnAgentTwice() public {
        _setDelegate(agent, 7, 3, EXPIRY);
        vm.startPrank(payer);
        escrow.revokeDelegate(agent);
        _fails(_unknown(payer));
        escrow.revokeDelegate(agent);
    }

    function test_revokeDelegate_RefusesSomebodyElsesAgent() public {
        _setDelegate(agent, 7, 3, EXPIRY);
        vm.prank(stranger);
        _fails(_unknown(stranger));
        escrow.revokeDelegate(agent);
        _checkDelegate(payer, agent, settler, 7, 3, EXPIRY);
    }

    function test_revokeDelegate_ForgetsTheBounds() public {
        _setDelegate(agent, 7, 3, EXPIRY);
        _setDelegate(stranger, 9, 9, EXPIRY);
        vm.recordLogs();
        vm.prank(payer);
        _emits();
        emit IRenderEscrow.DelegateRevoked(payer, agent, 3);
        escrow.revokeDelegate(agent);
        _checkEventCount(1);
        _checkDelegate(payer, agent, address(0), 0, 0, 0);
        _checkDelegate(payer, stranger, settler, 9, 9, EXPIRY);
        _checkAccount(payer, 0, 3);
    }

    function test_revokeDelegate_TakesAnAgentWhoseTimeIsOver() public {
        _setDelegate(agent, 7, 3, EXPIRY);
        vm.warp(EXPIRY + 1);
        vm.prank(payer);
        escrow.revokeDelegate(agent);
        _checkDelegate(payer, agent, address(0), 0, 0, 0);
    }

    // ---- openFor ----

    function test_openFor_RefusesAnAgentThatWasRevoked() public {
        Order memory order = _ready();
        vm.prank(payer);
        escrow.revokeDelegate(agent);
        _refuses(order, _signerRefused(agent, 0));
    }

    function test_openFor_RefusesFromExpiryOn() public {
        Order memory order = _ready();
        for (uint256 late = 0; late < 2; ++late) {
            vm.warp(EXPIRY + late);
            _refuses(order, _signerRefused(agent, EXPIRY));
        }
        vm.warp(EXPIRY - 1);
        vm.prank(agent);
        escrow.openFor(order, agent, "");
    }

    function test_openFor_RefusesAnotherSettler() public {
        Order memory order = _ready();
        order.settler = stranger;
        _refuses(order, _termRefused("settler", stranger, settler));
    }

    function test_openFor_RefusesAnotherRefundTo() public {
        Order memory order = _ready();
        order.refundTo = agent;
        _refuses(order, _termRefused("refundTo", agent, payer));
    }

    function test_openFor_RefusesMoreThanTheMostOfOneJob() public {
        Order memory order = _ready();
        _setDelegate(agent, CAP + 1, CAP - 1, EXPIRY);
        _refuses(order, _allowanceTooLow(CAP, CAP + 1, CAP - 1));
        order.cap = CAP - 1;
        vm.prank(agent);
        escrow.openFor(order, agent, "");
        _checkDelegate(payer, agent, settler, 2, CAP - 1, EXPIRY);
    }

    function test_openFor_RefusesMoreThanTheAllowance() public {
        Order memory order = _ready();
        _setDelegate(agent, CAP - 1, CAP, EXPIRY);
        _refuses(order, _allowanceTooLow(CAP, CAP - 1, CAP));
        order.cap = CAP - 1;
        vm.prank(agent);
        escrow.openFor(order, agent, "");
        _checkDelegate(payer, agent, settler, 0, CAP, EXPIRY);
        order.cap = 1;
        _refuses(order, _allowanceTooLow(1, 0, CAP));
    }

    function test_openFor_RefusesAnAgentOfAnotherPayer() public {
        Order memory order = _ready();
        order.payer = stranger;
        order.refundTo = stranger;
        vm.prank(agent);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_SignerRefused.selector, agent, stranger, 0, START
            )
        );
        escrow.openFor(order, agent, "");
    }

    function test_openFor_RefusesAnEmptySignatureOfSomebodyElse() public {
        Order memory order = _ready();
        vm.prank(stranger);
        _callerRefused(stranger, agent, address(0));
        escrow.openFor(order, agent, "");
    }

    function test_openFor_RefusesASignatureOfSomebodyElse() public {
        Order memory order = _ready();
        bytes32 jobId = escrow.jobIdOf(order);
        // Even the payer's: whoever is named as signer must have signed.
        bytes memory word = _sign(PAYER_KEY, jobId);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_SignatureRefused.selector, jobId, agent, address(0)
            )
        );
        escrow.openFor(order, agent, word);
    }

    function test_openFor_RefusesWhatThePayersAccountDoesNotHold() public {
        Order memory order = _ready();
        _setDelegate(agent, 2 * CAP, 2 * CAP, EXPIRY);
        order.cap = CAP + 2;
        // The agent's own money and the payer's allowance are not asked.
        vm.prank(payer);
        escrow.depositFor(agent, CAP);
        _refuses(
            order,
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_FreeTooLow.selector, payer, CAP + 2, CAP + 1
            )
        );
    }

    function test_openFor_KeepsTheAllowanceWhenTheOrderIsRefused() public {
        Order memory order = _ready();
        order.reviewSeconds = 1;
        _refuses(
            order,
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_TermRefused.selector,
                bytes32("reviewSeconds"),
                1,
                10 minutes,
                14 days
            )
        );
        _checkDelegate(payer, agent, settler, CAP + 7, CAP, EXPIRY);
    }

    function test_openFor_OpensByTheAgentsSignature() public {
        Order memory order = _ready();
        bytes32 jobId = escrow.jobIdOf(order);
        bytes memory word = _sign(AGENT_KEY, jobId);
        vm.recordLogs();
        vm.prank(stranger);
        _emits();
        emit IRenderEscrow.Opened(jobId, payer, payer, order, 0, 0, 1, 0, 3);
        _emits();
        emit IRenderEscrow.DelegateSpent(jobId, payer, agent, CAP, 7, 2);
        vm.assertEq(escrow.openFor(order, agent, word), jobId, "jobId");
        _checkEventCount(2);
        _checkDelegate(payer, agent, settler, 7, CAP, EXPIRY);
        _checkBalances(payer, 1, 0, 3);
        _checkAccount(agent, 0, 0);
        _checkJob(jobId, CAP, 0, 0, 0, 2, 1);
        _checkCreditShare(jobId, 0);
    }

    function test_openFor_OpensByTheAgentsCall() public {
        Order memory order = _ready();
        vm.prank(agent);
        bytes32 jobId = escrow.openFor(order, agent, "");
        vm.assertEq(jobId, escrow.jobIdOf(order), "jobId");
        _checkJob(jobId, CAP, 0, 0, 0, 2, 1);
    }

    function test_openFor_OpensByAContractAgentsWord() public {
        OwnedWallet wallet = new OwnedWallet(stranger);
        Order memory order = _ready();
        _setDelegate(address(wallet), CAP, CAP, EXPIRY);
        bytes32 jobId = escrow.jobIdOf(order);
        escrow.openFor(order, address(wallet), _sign(STRANGER_KEY, jobId));
        _checkJob(jobId, CAP, 0, 0, 0, 2, 1);
        _checkDelegate(payer, address(wallet), settler, 0, CAP, EXPIRY);
        _checkDelegate(payer, agent, settler, CAP + 7, CAP, EXPIRY);
    }

    function test_openFor_SpendsCreditFirst() public {
        Order memory order = _ready();
        bytes32 jobId = escrow.jobIdOf(order);
        _issue(payer, 5);
        _nameSettler(settler);
        vm.prank(agent);
        _emits();
        emit IRenderEscrow.Opened(jobId, payer, payer, order, 5, 0, 6, 0, 4);
        _emits();
        emit IRenderEscrow.DelegateSpent(jobId, payer, agent, CAP, 7, 2);
        escrow.openFor(order, agent, "");
        _checkBalances(payer, 6, 0, 4);
        _checkCreditShare(jobId, 5);
    }

    function test_openFor_CountsCapsAndGrowsNothingBack() public {
        Order memory order = _ready();
        vm.prank(agent);
        escrow.openFor(order, agent, "");
        vm.warp(uint256(order.workDeadline) + order.claimGrace);
        escrow.close(order, "", "");
        // All of it came back to the payer, and still the agent has opened its share.
        _checkBalances(payer, CAP + 1, 0, 4);
        _checkDelegate(payer, agent, settler, 7, CAP, EXPIRY);
    }

    function test_openFor_SpendsNoAllowanceByThePayersOwnWord() public {
        Order memory order = _ready();
        _setDelegate(payer, CAP, CAP, EXPIRY);
        vm.recordLogs();
        vm.prank(payer);
        bytes32 jobId = escrow.openFor(order, payer, "");
        _checkEventCount(1);
        _checkDelegate(payer, payer, settler, CAP, CAP, EXPIRY);
        _checkDelegate(payer, agent, settler, CAP + 7, CAP, EXPIRY);
        _checkJob(jobId, CAP, 0, 0, 0, 1, 1);
    }

    // ---- what these have in common ----

    /// One base unit more than the cap in the account, seven more in the allowance.
    function _ready() private returns (Order memory order) {
        order = _order();
        order.refundTo = payer;
        _deposit(payer, CAP + 1);
        _setDelegate(agent, CAP + 7, CAP, EXPIRY);
    }

    function _refuses(Order memory order, bytes memory error_) private {
        vm.prank(agent);
        _fails(error_);
        escrow.openFor(order, agent, "");
    }

    function _refusesAccounts(address agent_, address settler_, address refused) private {
        vm.prank(payer);
        _fails(abi.encodeWithSelector(IRenderEscrow.RenderEscrow_AccountRefused.selector, refused));
        escrow.setDelegate(agent_, settler_, 1, 1, uint40(EXPIRY));
    }

    function _checkDelegate(
        address owner,
        address agent_,
        address settler_,
        uint256 allowance,
        uint256 maxPerJob,
        uint256 expiry
    ) private view {
        (address a, uint96 b, uint96 c, uint40 d) = escrow.delegate(owner, agent_);
        vm.assertEq(a, settler_, "delegate's settler");
        vm.assertEq(b, allowance, "allowance");
        vm.assertEq(c, maxPerJob, "maxPerJob");
        vm.assertEq(d, expiry, "expiry");
    }

    function _unknown(address owner) private view returns (bytes memory) {
        return
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_DelegateUnknown.selector, owner, agent
            );
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

    function _allowanceTooLow(uint256 cap, uint256 allowance, uint256 maxPerJob)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_AllowanceTooLow.selector, agent, cap, allowance, maxPerJob
        );
    }
}
