// SPDX-License-Identifier: MIT OR Apache-2.0
// A dollar escrow with its ways in, Permit2 and Multicall3 in place, and what payers sign for them.
pragma solidity 0.8.37;

import {Funding} from "../src/Funding.sol";
import {IFunding} from "../src/IFunding.sol";
import {IRenderEscrow} from "../src/IRenderEscrow.sol";
import {Order} from "../src/Order.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {Coin} from "./doubles/LyingTokens.sol";
import {Multicall3Like, Permit2Like} from "./doubles/Proxies.sol";
import {UsdcLike} from "./doubles/UsdcLike.sol";
import {Fixture} from "./Fixture.sol";

abstract contract FundingFixture is Fixture {
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    address internal constant MULTICALL3 = 0xcA11bde05977b3631167028862bE2a173976CA11;
    /// Six decimals.
    uint96 internal constant DOLLAR = 1e6;
    uint96 internal constant DOLLARS = 10_000 * DOLLAR;
    uint96 internal constant ORDERED = 300 * DOLLAR;
    bytes32 internal constant SALT = keccak256("a salt of the signer's");
    uint256 internal constant NONCE = 0x1234;
    uint256 internal constant VALID_AFTER = START - 1;
    uint256 internal constant VALID_BEFORE = START + 1 days;

    UsdcLike internal usdc;
    Funding internal funding;

    function setUp() public virtual override {
        super.setUp();
        vm.etch(PERMIT2, type(Permit2Like).runtimeCode);
        vm.etch(MULTICALL3, type(Multicall3Like).runtimeCode);
        usdc = new UsdcLike();
        _escrowOf(address(usdc));
        usdc.mint(payer, DOLLARS);
        vm.prank(payer);
        usdc.approve(PERMIT2, type(uint256).max);
    }

    /// Another escrow and its ways in.
    function _escrowOf(address token) internal {
        escrow = new RenderEscrow(token, issuer, guardian);
        funding = new Funding(address(escrow), PERMIT2);
    }

    /// A hostile token in the dollar's place, of which the payer has as much.
    function _escrowOf(Coin coin) internal {
        coin.mint(payer, DOLLARS);
        _escrowOf(address(coin));
    }

    function _dollarOrder() internal view returns (Order memory order) {
        order = _order();
        order.cap = ORDERED;
        order.maxUnitPrice = DOLLAR;
    }

    // ---- what a payer signs ----

    function _permit(uint256 key, address spender, uint256 amount)
        internal
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        bytes32 kind = keccak256(
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
        );
        address owner = vm.addr(key);
        bytes32 act =
            keccak256(abi.encode(kind, owner, spender, amount, usdc.nonces(owner), VALID_BEFORE));
        return vm.sign(key, _typed(usdc.DOMAIN_SEPARATOR(), act));
    }

    function _authorization(
        uint256 key,
        address from,
        uint256 amount,
        address account,
        bytes32 jobId
    ) internal view returns (bytes memory) {
        bytes32 kind = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,"
            "uint256 validBefore,bytes32 nonce)"
        );
        bytes32 nonce = keccak256(abi.encode(account, jobId, SALT));
        bytes32 act =
            keccak256(abi.encode(kind, from, funding, amount, VALID_AFTER, VALID_BEFORE, nonce));
        return _sign(key, _typed(usdc.DOMAIN_SEPARATOR(), act));
    }

    function _permit2(uint256 key, uint256 amount, address account, bytes32 jobId)
        internal
        view
        returns (bytes memory)
    {
        bytes32 kind = keccak256(
            "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,"
            "uint256 deadline,Witness witness)TokenPermissions(address token,uint256 amount)"
            "Witness(address account,bytes32 jobId)"
        );
        bytes32 permitted = keccak256(
            abi.encode(
                keccak256("TokenPermissions(address token,uint256 amount)"), escrow.token(), amount
            )
        );
        bytes32 witness = keccak256(
            abi.encode(keccak256("Witness(address account,bytes32 jobId)"), account, jobId)
        );
        bytes32 act = keccak256(abi.encode(kind, permitted, funding, NONCE, VALID_BEFORE, witness));
        return _sign(key, _typed(Permit2Like(PERMIT2).DOMAIN_SEPARATOR(), act));
    }

    function _typed(bytes32 domain, bytes32 act) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, act));
    }

    // ---- payloads of `openWith` ----

    function _byAuthorization(Order memory order) internal view returns (bytes memory) {
        bytes32 jobId = escrow.jobIdOf(order);
        return _authorized(_authorization(PAYER_KEY, order.payer, order.cap, order.payer, jobId));
    }

    function _authorized(bytes memory signature) internal pure returns (bytes memory) {
        return bytes.concat(hex"01", abi.encode(VALID_AFTER, VALID_BEFORE, SALT, signature));
    }

    function _byPermit2(Order memory order) internal view returns (bytes memory) {
        bytes32 jobId = escrow.jobIdOf(order);
        return _permitted(_permit2(PAYER_KEY, order.cap, order.payer, jobId));
    }

    function _permitted(bytes memory signature) internal pure returns (bytes memory) {
        return bytes.concat(hex"02", abi.encode(NONCE, VALID_BEFORE, signature));
    }

    // ---- acts and expectations ----

    function _depositAuthorized(address account, uint96 amount, bytes memory signature) internal {
        funding.depositWithAuthorization(
            payer, account, amount, VALID_AFTER, VALID_BEFORE, SALT, signature
        );
    }

    function _depositPermitted(address account, uint96 amount, bytes memory signature) internal {
        funding.depositWithPermit2(payer, account, amount, NONCE, VALID_BEFORE, signature);
    }

    function _pauseEscrow() internal {
        vm.prank(guardian);
        escrow.pause(uint40(block.timestamp + 1 days));
    }

    function _failsPaused() internal {
        _fails(_isPaused());
    }

    function _isPaused() internal view returns (bytes memory) {
        (,,, uint40 until,) = escrow.offices();
        return abi.encodeWithSelector(
            IRenderEscrow.RenderEscrow_IsPaused.selector, until, block.timestamp
        );
    }

    function _accountRefused(address account) internal {
        _fails(abi.encodeWithSelector(IFunding.Funding_AccountRefused.selector, account));
    }

    /// So much the escrow's `Opened` says of an order that `funder` paid with `pulled` tokens.
    function _emitsOpened(
        Order memory order,
        address funder,
        uint96 pulled,
        uint96 free,
        uint64 seq
    ) internal {
        _emits();
        emit IRenderEscrow.Opened(
            escrow.jobIdOf(order), order.payer, funder, order, 0, pulled, free, 0, seq
        );
    }

    function _checkOpened(Order memory order) internal view {
        _checkJob(escrow.jobIdOf(order), order.cap, 0, 0, 0, 1, 1);
    }

    /// Between calls Funding has nothing of its own, and the escrow no allowance from it.
    function _checkNothingKept() internal view {
        vm.assertEq(usdc.balanceOf(address(funding)), 0, "tokens of Funding");
        vm.assertEq(_free(address(funding)), 0, "escrow balance of Funding");
        vm.assertEq(usdc.allowance(address(funding), address(escrow)), 0, "allowance");
    }
}
