// SPDX-License-Identifier: MIT OR Apache-2.0
// Contract wallets as payer, approver and settler: honest, revoked, hostile, and EOAs with code.
pragma solidity 0.8.37;

import {Hashes, Lot, Order} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {HostileWallet, OwnedWallet, ReentrantWallet, YesWallet} from "./doubles/Wallets.sol";
import {Fixture} from "./Fixture.sol";

contract WalletTest is Fixture {
    uint256 private constant OWNER_KEY = 0x0B0E;

    OwnedWallet private wallet;
    Order private order;
    bytes32 private jobId;

    function setUp() public override {
        super.setUp();
        wallet = new OwnedWallet(vm.addr(OWNER_KEY));
        _depositFor(address(wallet));
    }

    function test_wallet_HonestWalletDoesAllThatAPayerDoes() public {
        order = _order();
        order.payer = address(wallet);
        jobId = escrow.jobIdOf(order);
        escrow.openFor(order, address(wallet), _sign(OWNER_KEY, jobId));
        escrow.release(order, _one(_lot(1)), _accepts(_lot(1)), _approves(_lot(1)));
        escrow.commit(order, _one(_lot(2)), _accepts(_lot(2)), _approves(_lot(2)));
        bytes32 lotHash = _commit(order, _lot(4));
        escrow.approve(order, _one(_lot(4)), _approves(_lot(4)));
        _checkLot(lotHash, 2, START + REVIEW, 0);
        lotHash = _commit(order, _lot(8));
        escrow.reject(order, _lot(8), 8, "", _rejection(OWNER_KEY, jobId, _lot(8), 8, ""));
        _checkLot(lotHash, 1, START + REVIEW, 8);
        escrow.requestClose(order, _sign(OWNER_KEY, _digest(Hashes.closeRequest(jobId))));
        _checkJob(jobId, CAP, 1 ether, 2 ether, 1, 8, 1);
    }

    function test_wallet_HonestWalletActsByItsOwnCalls() public {
        order = _order();
        order.payer = address(wallet);
        order.approver = address(0);
        jobId = escrow.jobIdOf(order);
        wallet.run(address(escrow), abi.encodeCall(escrow.open, (order)));
        _commit(order, _lot(1));
        wallet.run(address(escrow), abi.encodeCall(escrow.approve, (order, _one(_lot(1)), "")));
        wallet.run(address(escrow), abi.encodeCall(escrow.requestClose, (order, "")));
        _checkJob(jobId, CAP, 0, 1 ether, 0, 4, 1);
    }

    function test_wallet_WalletAsApproverCounts() public {
        order = _order();
        order.approver = address(wallet);
        jobId = _open(order);
        escrow.release(order, _one(_lot(1)), _accepts(_lot(1)), _approves(_lot(1)));
        _checkJob(jobId, CAP, 1 ether, 0, 1, 2, 1);
    }

    function test_wallet_WalletAsSettlerCounts() public {
        order = _order();
        order.settler = address(wallet);
        jobId = _open(order);
        bytes32 act = Hashes.acceptance(jobId, _lotsHash(jobId, _one(_lot(1))));
        escrow.commit(order, _one(_lot(1)), _sign(OWNER_KEY, _digest(act)), "");
        _checkJob(jobId, CAP, 0, 1 ether, 0, 2, 1);
    }

    function test_wallet_RevokedOwnerIsRefused() public {
        order = _order();
        order.payer = address(wallet);
        jobId = escrow.jobIdOf(order);
        bytes memory word = _sign(OWNER_KEY, jobId);
        wallet.setOwner(stranger);
        _fails(
            abi.encodeWithSelector(
                IRenderEscrow.RenderEscrow_SignatureRefused.selector,
                jobId,
                address(wallet),
                address(0)
            )
        );
        escrow.openFor(order, address(wallet), word);
    }

    function test_wallet_EmptySignatureIsNeverAskedOfAWallet() public {
        YesWallet yes = new YesWallet();
        _depositFor(address(yes));
        order = _order();
        order.payer = address(yes);
        vm.prank(stranger);
        _callerRefused(stranger, address(yes), address(0));
        escrow.openFor(order, address(yes), "");
    }

    function test_wallet_YesWalletLosesOnlyItsOwnConsent() public {
        YesWallet yes = new YesWallet();
        _depositFor(address(yes));
        order = _order();
        order.payer = address(yes);
        jobId = escrow.jobIdOf(order);
        escrow.openFor(order, address(yes), "anything");
        // The settler's consent is still the settler's.
        bytes32 act = Hashes.acceptance(jobId, _lotsHash(jobId, _one(_lot(1))));
        _signatureRefused(act, settler, address(0));
        escrow.release(order, _one(_lot(1)), "anything", "anything");
    }

    function test_wallet_HostileAnswersAreNoYes() public {
        for (uint8 way = 0; way <= uint8(type(HostileWallet.Way).max); ++way) {
            HostileWallet hostile = new HostileWallet(HostileWallet.Way(way));
            order = _order();
            order.payer = address(hostile);
            jobId = escrow.jobIdOf(order);
            uint256 before = gasleft();
            _fails(
                abi.encodeWithSelector(
                    IRenderEscrow.RenderEscrow_SignatureRefused.selector,
                    jobId,
                    address(hostile),
                    address(0)
                )
            );
            escrow.openFor(order, address(hostile), "word");
            vm.assertLe(before - gasleft(), 460_000, "a wallet may not eat the relayer's gas");
        }
    }

    function test_wallet_WalletThatReentersWhileItIsAskedChangesNothing() public {
        ReentrantWallet hostile = new ReentrantWallet();
        _depositFor(address(hostile));
        order = _order();
        order.payer = address(hostile);
        jobId = escrow.jobIdOf(order);
        // The money that is about to open its job, and a rejection of what it is about to approve.
        hostile.aim(address(escrow), abi.encodeCall(escrow.withdraw, (CAP, stranger)));
        uint256 before = vm.snapshotState();
        hostile.strike();
        vm.assertEq(rndr.balanceOf(stranger), CAP, "by a call of its own");
        vm.revertToState(before);
        escrow.openFor(order, address(hostile), "yes");
        _checkJob(jobId, CAP, 0, 0, 0, 1, 1);
        vm.assertEq(rndr.balanceOf(stranger), 0, "while it is asked");
        bytes32 lotHash = _commit(order, _lot(3));
        hostile.aim(address(escrow), abi.encodeCall(escrow.reject, (order, _lot(3), 1, "", "")));
        before = vm.snapshotState();
        hostile.strike();
        _checkLot(lotHash, 1, START + REVIEW, 1);
        vm.revertToState(before);
        escrow.approve(order, _one(_lot(3)), "yes");
        _checkLot(lotHash, 2, START + REVIEW, 0);
    }

    function test_wallet_EoaWithCodeKeepsItsWord() public {
        _deposit(payer, CAP);
        order = _order();
        jobId = escrow.jobIdOf(order);
        bytes memory word = _sign(PAYER_KEY, jobId);
        // EIP-7702: the payer takes code that says no to everything.
        vm.etch(payer, address(new HostileWallet(HostileWallet.Way.Reverts)).code);
        escrow.openFor(order, payer, word);
        _checkJob(jobId, CAP, 0, 0, 0, 1, 1);
    }

    function test_wallet_EoaWhoseCodeChangesMidJobKeepsItsWord() public {
        order = _order();
        jobId = _open(order);
        bytes memory word = _approval(PAYER_KEY, jobId, _one(_lot(1)));
        vm.etch(payer, address(wallet).code);
        escrow.release(order, _one(_lot(1)), _accepts(_lot(1)), word);
        vm.etch(payer, "");
        word = _approval(PAYER_KEY, jobId, _one(_lot(2)));
        escrow.release(order, _one(_lot(2)), _accepts(_lot(2)), word);
        _checkJob(jobId, CAP, 2 ether, 0, 2, 3, 1);
    }

    function _accepts(Lot memory lot) private view returns (bytes memory) {
        return _acceptance(jobId, _one(lot));
    }

    function _approves(Lot memory lot) private view returns (bytes memory) {
        return _approval(OWNER_KEY, jobId, _one(lot));
    }

    function _depositFor(address owner) private {
        vm.prank(payer);
        escrow.depositFor(owner, CAP);
    }
}
