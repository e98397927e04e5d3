// SPDX-License-Identifier: MIT OR Apache-2.0
// Who may say what about a job: the settler, the payer's side, and the payer's delegates.
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Accounts} from "./Accounts.sol";
import {Consents} from "./Consents.sol";
import {Order} from "./Order.sol";

abstract contract Roles is Accounts, EIP712 {
    /// Two slots.
    struct Delegate {
        address settler;
        uint96 allowance;
        uint96 maxPerJob;
        uint40 expiry;
    }

    mapping(address payer => mapping(address agent => Delegate)) private _delegates;

    function setDelegate(
        address agent,
        address settler,
        uint96 allowance,
        uint96 maxPerJob,
        uint40 expiry
    ) external {
        _checkAccount(agent);
        _checkAccount(settler);
        if (expiry <= block.timestamp) {
            revert RenderEscrow_SignerRefused(agent, msg.sender, expiry, block.timestamp);
        }
        _delegates[msg.sender][agent] = Delegate(settler, allowance, maxPerJob, expiry);
        uint64 seq = _count(msg.sender);
        emit DelegateSet(msg.sender, agent, settler, allowance, maxPerJob, expiry, seq);
    }

    function revokeDelegate(address agent) external {
        if (_delegates[msg.sender][agent].expiry == 0) {
            revert RenderEscrow_DelegateUnknown(msg.sender, agent);
        }
        delete _delegates[msg.sender][agent];
        emit DelegateRevoked(msg.sender, agent, _count(msg.sender));
    }

    function delegate(address payer, address agent)
        external
        view
        returns (address settler, uint96 allowance, uint96 maxPerJob, uint40 expiry)
    {
        Delegate memory d = _delegates[payer][agent];
        return (d.settler, d.allowance, d.maxPerJob, d.expiry);
    }

    /// A delegate opens with its settler alone, else a stolen key would pay itself; what is left
    /// goes back to the payer; and its allowance falls by the cap, for ever.
    function _spendAllowance(Order calldata order, address agent)
        internal
        returns (uint96 allowance)
    {
        Delegate storage d = _delegates[order.payer][agent];
        uint40 expiry = d.expiry;
        if (block.timestamp >= expiry) {
            revert RenderEscrow_SignerRefused(agent, order.payer, expiry, block.timestamp);
        }
        if (order.settler != d.settler) {
            revert RenderEscrow_DelegateTermRefused("settler", order.settler, d.settler);
        }
        if (order.refundTo != order.payer) {
            revert RenderEscrow_DelegateTermRefused("refundTo", order.refundTo, order.payer);
        }
        allowance = d.allowance;
        if (order.cap > allowance || order.cap > d.maxPerJob) {
            revert RenderEscrow_AllowanceTooLow(agent, order.cap, allowance, d.maxPerJob);
        }
        unchecked {
            allowance -= order.cap;
        }
        d.allowance = allowance;
    }

    function _checkSettler(Order calldata order, bytes32 act, bytes calldata signature)
        internal
        view
    {
        _checkConsent(order.settler, address(0), _hashTypedDataV4(act), signature);
    }

    /// Payer or approver, on an act of this type and these figures; says which of them it was.
    function _checkPayerSide(Order calldata order, bytes32 act, bytes calldata signature)
        internal
        view
        returns (address by)
    {
        return _checkConsent(order.payer, order.approver, _hashTypedDataV4(act), signature);
    }

    function _checkConsent(address first, address second, bytes32 digest, bytes calldata signature)
        internal
        view
        returns (address by)
    {
        by = Consents.by(first, second, digest, signature);
        if (by != address(0)) return by;
        if (signature.length == 0) revert RenderEscrow_CallerRefused(msg.sender, first, second);
        revert RenderEscrow_SignatureRefused(digest, first, second);
    }
}
