// SPDX-License-Identifier: MIT OR Apache-2.0
// Several calls in one transaction through Multicall3, and wallets deployed by an earlier one.
pragma solidity 0.8.37;

import {Hashes, Lot, Order, Payout} from "../src/Order.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {Multicall3Like} from "./doubles/Proxies.sol";
import {OwnedWallet, WalletFactory} from "./doubles/Wallets.sol";
import {FundingFixture} from "./FundingFixture.sol";

contract MulticallsTest is FundingFixture {
    bytes32 private constant ERC6492_END =
        0x6492649264926492649264926492649264926492649264926492649264926492;

    Multicall3Like.Call3[] private calls;

    function setUp() public override {
        super.setUp();
        vm.startPrank(payer);
        usdc.approve(address(escrow), type(uint256).max);
        escrow.deposit(4 * ORDERED);
        vm.stopPrank();
    }

    function test_WholeLifeOfAJobInOneTransaction() public {
        (Order memory order, bytes32 jobId) = _orderOf("life", 300);
        Lot memory paid = _dollarLot(1);
        Lot memory later = _dollarLot(2);
        _addOpenFor(order);
        _addRelease(order, paid, false);
        _add(
            abi.encodeCall(
                escrow.commit,
                (
                    order,
                    _one(later),
                    _acceptance(jobId, _one(later)),
                    _approval(PAYER_KEY, jobId, _one(later))
                )
            ),
            false
        );
        _add(abi.encodeCall(escrow.settle, (order, _one(later), _keys(0))), false);
        _addClose(order, false);
        _checkAll(_send());
        _checkJob(jobId, 2 * DOLLAR, 2 * DOLLAR, 0, 2, 6, 2);
        vm.assertEq(_free(treasury), ORDERED - 2 * DOLLAR, "what came back");
        vm.assertEq(_free(address(MULTICALL3)), 0, "the caller of all this");
    }

    function test_VoucherJobInOneTransaction() public {
        (Order memory order, bytes32 jobId) = _orderOf("calls", 0);
        Payout[] memory payouts = new Payout[](1);
        payouts[0] = Payout(node, 5 * DOLLAR);
        bytes memory voucher = _sign(PAYER_KEY, _digest(Hashes.voucher(jobId, payouts[0].amount)));
        bytes memory consent = _sign(SETTLER_KEY, _digest(_redemption(jobId, payouts)));
        _addOpenFor(order);
        _add(
            abi.encodeCall(escrow.redeem, (order, payouts[0].amount, voucher, payouts, consent)),
            false
        );
        _addClose(order, false);
        _checkAll(_send());
        _checkJob(jobId, 5 * DOLLAR, 5 * DOLLAR, 0, 0, 4, 2);
    }

    function test_OneCallThatMayFailStopsNoOther() public {
        (Order memory first, bytes32 firstId) = _orderOf("first", 300);
        (Order memory second, bytes32 secondId) = _orderOf("second", 300);
        _addOpenFor(first);
        _addOpenFor(second);
        _addRelease(first, _dollarLot(1), true);
        _addRelease(first, _dollarLot(3), true); // one of its units was paid just before
        _addRelease(second, _dollarLot(1), true);
        Multicall3Like.Result[] memory results = _send();
        bytes memory taken = abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_UnitsTaken.selector, firstId, uint32(0), 1
        );
        vm.assertTrue(results[2].success, "the first release");
        vm.assertTrue(!results[3].success, "the unit was paid twice");
        vm.assertEq(keccak256(results[3].returnData), keccak256(taken), "its cause");
        vm.assertTrue(results[4].success, "the release after it");
        _checkJob(firstId, ORDERED, DOLLAR, 0, 1, 2, 1);
        _checkJob(secondId, ORDERED, DOLLAR, 0, 1, 2, 1);
    }

    function test_AllCallsMayFail() public {
        (Order memory order, bytes32 jobId) = _orderOf("none", 300);
        _addRelease(order, _dollarLot(1), true);
        _addClose(order, true);
        _add(abi.encodeCall(escrow.settle, (order, _one(_dollarLot(1)), _keys(0))), true);
        Multicall3Like.Result[] memory results = _send();
        bytes memory notOpen = abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_JobNotOpen.selector, jobId, uint8(0)
        );
        for (uint256 i = 0; i < results.length; ++i) {
            vm.assertTrue(!results[i].success, "there is no such job");
        }
        vm.assertEq(keccak256(results[0].returnData), keccak256(notOpen), "the release's cause");
        vm.assertEq(keccak256(results[1].returnData), keccak256(notOpen), "the close's cause");
    }

    function test_OneCallThatMayNotFailUndoesAll() public {
        (Order memory order, bytes32 jobId) = _orderOf("undone", 300);
        _addOpenFor(order);
        _addRelease(order, _dollarLot(1), true);
        _addRelease(order, _dollarLot(1), false);
        _fails(abi.encodeWithSignature("Error(string)", "Multicall3: call failed"));
        _send();
        _checkJob(jobId, 0, 0, 0, 0, 0, 0);
        _checkAccount(payer, 4 * ORDERED, 1);
    }

    function test_SeveralWaysInInOneTransaction() public {
        (Order memory first,) = _orderOf("by vault", 300);
        (Order memory second,) = _orderOf("by authorization", 300);
        (Order memory third,) = _orderOf("by permit2", 300);
        usdc.mint(funding.vaultOf(first), ORDERED);
        bytes memory authorized = _byAuthorization(second);
        bytes memory permitted = _byPermit2(third);
        _addTo(address(funding), abi.encodeCall(funding.openFromVault, (first)), false);
        _addTo(address(funding), abi.encodeCall(funding.openWith, (second, authorized)), false);
        _addTo(address(funding), abi.encodeCall(funding.openWith, (third, permitted)), false);
        _checkAll(_send());
        _checkOpened(first);
        _checkOpened(second);
        _checkOpened(third);
        _checkNothingKept();
    }

    // ---- wallets that are not deployed yet (ERC-6492) ----

    function test_WalletIsDeployedByTheCallBeforeItsOpening() public {
        WalletFactory factory = new WalletFactory();
        (Order memory order, bytes memory word) = _orderOfWallet(factory);
        _addTo(address(factory), abi.encodeCall(factory.create, (stranger, SALT)), false);
        _add(abi.encodeCall(escrow.openFor, (order, order.payer, word)), false);
        vm.assertEq(order.payer.code.length, 0, "no wallet yet");
        _checkAll(_send());
        vm.assertEq(OwnedWallet(order.payer).owner(), stranger, "the wallet's owner");
        _checkOpened(order);
    }

    function test_WrappedSignatureOfAWalletNotDeployedYetIsRefused() public {
        WalletFactory factory = new WalletFactory();
        (Order memory order, bytes memory word) = _orderOfWallet(factory);
        bytes memory deploy = abi.encodeCall(factory.create, (stranger, SALT));
        bytes memory wrapped =
            bytes.concat(abi.encode(address(factory), deploy, word), ERC6492_END);
        bytes memory refused = abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_SignatureRefused.selector,
            escrow.jobIdOf(order),
            order.payer,
            address(0)
        );
        _fails(refused);
        escrow.openFor(order, order.payer, wrapped);
        _fails(refused);
        escrow.openFor(order, order.payer, word);
        vm.assertEq(order.payer.code.length, 0, "the escrow called no factory");
    }

    function test_FactoryCallOfADeployedWalletMayFail() public {
        WalletFactory factory = new WalletFactory();
        (Order memory order, bytes memory word) = _orderOfWallet(factory);
        factory.create(stranger, SALT);
        _addTo(address(factory), abi.encodeCall(factory.create, (stranger, SALT)), true);
        _add(abi.encodeCall(escrow.openFor, (order, order.payer, word)), false);
        Multicall3Like.Result[] memory results = _send();
        vm.assertTrue(!results[0].success, "somebody deployed it before");
        vm.assertTrue(results[1].success, "the opening");
        _checkOpened(order);
    }

    // ---- single steps ----

    function _orderOf(bytes32 salt, uint32 units)
        private
        view
        returns (Order memory order, bytes32 jobId)
    {
        order = _dollarOrder();
        order.units = units;
        order.salt = salt;
        jobId = escrow.jobIdOf(order);
    }

    /// Its owner is the stranger, and the money is deposited for it before it exists.
    function _orderOfWallet(WalletFactory factory)
        private
        returns (Order memory order, bytes memory word)
    {
        order = _dollarOrder();
        order.payer = factory.addressOf(stranger, SALT);
        vm.prank(payer);
        escrow.depositFor(order.payer, ORDERED);
        word = _sign(STRANGER_KEY, escrow.jobIdOf(order));
    }

    function _dollarLot(uint256 mask) private view returns (Lot memory lot) {
        lot = _lot(mask);
        lot.unitPrice = DOLLAR;
    }

    function _redemption(bytes32 jobId, Payout[] memory payouts) private view returns (bytes32) {
        return this.redemptionOf(jobId, payouts);
    }

    /// The library takes calldata, so it is called through this.
    function redemptionOf(bytes32 jobId, Payout[] calldata payouts)
        external
        pure
        returns (bytes32)
    {
        return Hashes.redemption(jobId, payouts[0].amount, Hashes.payouts(payouts));
    }

    function _addOpenFor(Order memory order) private {
        bytes memory word = _sign(PAYER_KEY, escrow.jobIdOf(order));
        _add(abi.encodeCall(escrow.openFor, (order, payer, word)), false);
    }

    function _addRelease(Order memory order, Lot memory lot, bool mayFail) private {
        bytes32 jobId = escrow.jobIdOf(order);
        bytes memory acceptance = _acceptance(jobId, _one(lot));
        bytes memory approval = _approval(PAYER_KEY, jobId, _one(lot));
        _add(abi.encodeCall(escrow.release, (order, _one(lot), acceptance, approval)), mayFail);
    }

    function _addClose(Order memory order, bool mayFail) private {
        bytes32 digest = _digest(Hashes.close(escrow.jobIdOf(order)));
        bytes memory word = _sign(PAYER_KEY, digest);
        bytes memory settlers = _sign(SETTLER_KEY, digest);
        _add(abi.encodeCall(escrow.close, (order, word, settlers)), mayFail);
    }

    function _add(bytes memory data, bool mayFail) private {
        _addTo(address(escrow), data, mayFail);
    }

    function _addTo(address target, bytes memory data, bool mayFail) private {
        calls.push(Multicall3Like.Call3(target, mayFail, data));
    }

    function _send() private returns (Multicall3Like.Result[] memory results) {
        vm.prank(stranger);
        return Multicall3Like(MULTICALL3).aggregate3(calls);
    }

    function _checkAll(Multicall3Like.Result[] memory results) private view {
        vm.assertEq(results.length, calls.length, "one answer each");
        for (uint256 i = 0; i < results.length; ++i) {
            vm.assertTrue(results[i].success, "a call failed");
        }
    }
}
