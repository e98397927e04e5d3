// SPDX-License-Identifier: MIT OR Apache-2.0
// The cast, their words, true and forged, and the one way in which every act calls the escrow.
pragma solidity 0.8.37;

import {Order} from "../../src/Order.sol";
import {HostileWallet, OwnedWallet} from "../doubles/Wallets.sol";
import {Vm} from "../Vm.sol";
import {Fold} from "./Fold.sol";

abstract contract Stage is Fold {
    /// A signature, or none (then it is the caller's word), and whose it really is.
    struct Word {
        bytes signature;
        address who;
        bool signed;
    }

    struct Answer {
        bool succeeded;
        bytes32 data;
        bytes32 logs;
    }

    uint256 internal constant SECOND_KEY = 0xA11CE2;
    uint256 internal constant WALLET_KEY = 0x1271;
    uint256 internal constant OTHER_SETTLER_KEY = 0x5E771E2;
    uint256 internal constant AGENT_KEY = 0xA6E27;
    /// One call in so many that the pause must not touch is tried in the other state first.
    uint256 private constant PROBES = 6;

    address internal second = vm.addr(SECOND_KEY);
    address internal otherSettler = vm.addr(OTHER_SETTLER_KEY);
    address internal agent = vm.addr(AGENT_KEY);
    OwnedWallet internal wallet = new OwnedWallet(vm.addr(WALLET_KEY));
    address[8] internal hostileWallets;
    address[] internal cast;
    uint256[8] internal keys;
    /// Who signs with a key, and which key speaks for whom.
    mapping(uint256 key => address) private _ofKey;
    mapping(address who => uint256 key) internal _keyOf;
    bytes32 private domain;

    mapping(string act => uint256) public tried;
    mapping(string act => uint256) public done;
    mapping(string act => uint256) public refused;
    uint256 private calls;

    function _setTheStage() internal {
        cast = [
            payer,
            second,
            address(wallet),
            approver,
            settler,
            otherSettler,
            node,
            otherNode,
            treasury,
            fees,
            stranger,
            agent
        ];
        keys = [
            PAYER_KEY,
            SECOND_KEY,
            WALLET_KEY,
            APPROVER_KEY,
            SETTLER_KEY,
            OTHER_SETTLER_KEY,
            STRANGER_KEY,
            AGENT_KEY
        ];
        _giveKeysAndMoney();
    }

    function _giveKeysAndMoney() private {
        for (uint8 i = 0; i < 8; ++i) {
            hostileWallets[i] = address(new HostileWallet(HostileWallet.Way(i)));
        }
        for (uint256 i = 0; i < cast.length; ++i) {
            _fund(cast[i]);
        }
        _fund(issuer);
        rndr.setEscrowContractAddress(address(escrow));
        for (uint256 i = 0; i < keys.length; ++i) {
            _ofKey[keys[i]] = vm.addr(keys[i]);
            _keyOf[vm.addr(keys[i])] = keys[i];
        }
        _keyOf[address(wallet)] = WALLET_KEY;
        bytes32 empty = keccak256(hex"");
        domain = _domain();
        vm.assertEq(_digestOf(empty), _digest(empty), "the domain");
    }

    // ---- words ----

    /// Mostly the word of `key` on `act`; else none, somebody else's, or the same key's on `other`,
    /// another act about the same things.
    function _word(uint256 seed, uint256 key, bytes32 act, bytes32 other, address caller)
        internal
        returns (Word memory)
    {
        uint256 way = seed % 24;
        if (way == 0) return Word("", caller, false);
        if (way == 1) {
            ++tried["word of another"];
            key = keys[(seed >> 8) % keys.length];
        }
        if (way == 2) {
            ++tried["word on another act"];
            return Word(_sign(key, _digestOf(other)), address(0), true);
        }
        return Word(_sign(key, _digestOf(act)), _ofKey[key], true);
    }

    /// Whether the word is `role`'s: its own, or as owner of its wallet at this moment.
    function _speaks(address role, Word memory word) internal view returns (bool) {
        if (role == address(0) || word.who == address(0)) return false;
        if (word.who == role) return true;
        return word.signed && role == address(wallet) && word.who == wallet.owner();
    }

    function _sideOf(Order memory order, Word memory word) internal view returns (address) {
        if (_speaks(order.payer, word)) return order.payer;
        return _speaks(order.approver, word) ? order.approver : address(0);
    }

    /// The key that should speak for the order's payer's side.
    function _sideKey(Order memory order, uint256 seed) internal view returns (uint256) {
        if (seed % 3 == 0 && order.approver == approver) return APPROVER_KEY;
        return _keyOf[order.payer];
    }

    function _digestOf(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    // ---- picking ----

    /// The fuzzer likes small and extreme numbers; every bit of these counts.
    function _mix(uint256 seed) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed)));
    }

    function _person(uint256 seed) internal view returns (address) {
        return cast[seed % cast.length];
    }

    /// Mostly one of the newest: few enough for each to come far.
    function _pick(uint256 seed, uint256 count, uint256 lively) internal pure returns (uint256) {
        if (count <= lively || seed % 16 == 0) return (seed >> 4) % count;
        return count - 1 - (seed >> 4) % lively;
    }

    // ---- calling ----

    /// A way in: the model says whether the escrow takes it, and it must do as the model says.
    function _enter(string memory act, bytes memory data, Consent memory given, bool expected)
        internal
        returns (bool)
    {
        return _enterWithToken(act, address(escrow), data, given, expected, false);
    }

    /// As `_enter`; where the token moves (`token`), it may refuse or lie.
    function _enterWithToken(
        string memory act,
        address target,
        bytes memory data,
        Consent memory given,
        bool expected,
        bool token
    ) internal returns (bool) {
        address caller = token && target != address(escrow) ? given.signer : given.caller;
        (Vm.Log[] memory logs, Answer memory answer) = _call(target, caller, data);
        return _judge(act, logs, answer, given, expected, token);
    }

    /// What no pause may touch: now and then tried in the other state first.
    function _exit(string memory act, bytes memory data, Consent memory given, bool expected)
        internal
        returns (bool)
    {
        return _exitWithToken(act, data, given, expected, false);
    }

    function _exitWithToken(
        string memory act,
        bytes memory data,
        Consent memory given,
        bool expected,
        bool token
    ) internal returns (bool succeeded) {
        bool probe = ++calls % PROBES == 0;
        Answer memory other;
        if (probe) (probe, other) = _inTheOtherState(given.caller, data);
        Vm.Log[] memory logs;
        Answer memory real;
        (logs, real) = _call(address(escrow), given.caller, data);
        if (probe) {
            ++done["probe of a pause"];
            bool same = real.succeeded == other.succeeded && real.data == other.data;
            _must(same, string.concat("I11: a pause changed a way out: ", act));
            _must(real.logs == other.logs, string.concat("I11: a pause changed events: ", act));
        }
        return _judge(act, logs, real, given, expected, token);
    }

    function _call(address target, address caller, bytes memory data)
        internal
        returns (Vm.Log[] memory logs, Answer memory answer)
    {
        vm.recordLogs();
        vm.prank(caller);
        bytes memory returned;
        (answer.succeeded, returned) = target.call(data);
        logs = vm.getRecordedLogs();
        answer.data = keccak256(returned);
        answer.logs = keccak256(abi.encode(logs));
    }

    /// Paused if it runs, running if it is paused; not when the guardian may do neither now.
    function _inTheOtherState(address caller, bytes memory data)
        private
        returns (bool turned, Answer memory answer)
    {
        uint256 before = vm.snapshotState();
        vm.prank(guardian);
        if (block.timestamp < pausedUntil) {
            (turned,) = address(escrow).call(abi.encodeCall(escrow.unpause, ()));
        } else {
            uint40 until = uint40(block.timestamp + 7 days);
            (turned,) = address(escrow).call(abi.encodeCall(escrow.pause, (until)));
        }
        if (turned) (, answer) = _call(address(escrow), caller, data);
        vm.revertToState(before);
    }

    function _judge(
        string memory act,
        Vm.Log[] memory logs,
        Answer memory answer,
        Consent memory given,
        bool expected,
        bool token
    ) internal returns (bool succeeded) {
        succeeded = answer.succeeded;
        ++tried[act];
        _afterCall();
        _must(!succeeded || expected, string.concat("I15: taken against the rules: ", act));
        bool must = expected && !(token && _tokenMayRefuse());
        _must(succeeded || !must, string.concat("I15: refused against the rules: ", act));
        // Recorded logs hold those of a reverted call too.
        if (!succeeded) {
            ++refused[act];
            return false;
        }
        ++done[act];
        _fold(logs, given);
    }

    function _tokenMayRefuse() internal view virtual returns (bool) {
        return false;
    }

    function _afterCall() internal virtual {}

    function _domain() private view returns (bytes32) {
        bytes32 kind = keccak256(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        );
        return keccak256(
            abi.encode(
                kind, keccak256("RenderEscrow"), keccak256("1"), block.chainid, address(escrow)
            )
        );
    }
}
