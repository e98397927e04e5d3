// SPDX-License-Identifier: MIT OR Apache-2.0
// ERC-1271 wallets, honest and hostile, and a factory of honest ones.
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// Says yes to what its owner signed; the owner can be changed, and it can call anything.
contract OwnedWallet {
    address public owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function setOwner(address owner_) external {
        owner = owner_;
    }

    function run(address target, bytes calldata data) external returns (bytes memory) {
        (bool done, bytes memory answer) = target.call(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        return answer;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature)
        external
        view
        returns (bytes4)
    {
        (address signer,,) = ECDSA.tryRecover(digest, signature);
        return signer == owner && signer != address(0) ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

/// Says yes to everything.
contract YesWallet {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return 0x1626ba7e;
    }
}

/// Says yes to everything, and tries to call what it aims at while it is asked.
contract ReentrantWallet {
    address private _target;
    bytes private _question;

    function aim(address target, bytes calldata question) external {
        (_target, _question) = (target, question);
    }

    /// The same call while nobody asks.
    function strike() public returns (bool done) {
        (done,) = _target.call(_question);
    }

    function isValidSignature(bytes32, bytes calldata) external returns (bytes4) {
        strike();
        return 0x1626ba7e;
    }
}

/// Says yes to one signature of any length, whatever it stands for.
contract WordWallet {
    bytes32 private immutable _word;

    constructor(bytes memory word) {
        _word = keccak256(word);
    }

    function isValidSignature(bytes32, bytes calldata signature) external view returns (bytes4) {
        return keccak256(signature) == _word ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

/// Answers in a way that only looks like a yes, or never.
contract HostileWallet {
    enum Way {
        Reverts,
        OtherWord,
        DirtyWord,
        ShortAnswer,
        Nothing,
        EatsGas,
        LongNo,
        Writes
    }

    Way public way;
    uint256 private written;

    constructor(Way way_) {
        way = way_;
    }

    fallback() external {
        Way is_ = way;
        if (is_ == Way.EatsGas) while (true) {}
        if (is_ == Way.Writes) written = 1;
        assembly ("memory-safe") {
            let yes := shl(224, 0x1626ba7e)
            switch is_
            case 1 { mstore(0, not(yes)) }
            case 2 { mstore(0, or(yes, 1)) }
            case 3 {
                mstore(0, yes)
                return(0, 4)
            }
            case 4 { return(0, 0) }
            case 6 {
                mstore(0, 0)
                return(0, 50000)
            }
            case 7 { mstore(0, yes) }
            default { revert(0, 0) }
            return(0, 32)
        }
    }
}

/// Deploys owned wallets where their addresses were foretold, as ERC-4337 factories do.
contract WalletFactory {
    function create(address owner, bytes32 salt) external returns (OwnedWallet) {
        return new OwnedWallet{salt: salt}(owner);
    }

    function addressOf(address owner, bytes32 salt) external view returns (address) {
        bytes memory code = abi.encodePacked(type(OwnedWallet).creationCode, abi.encode(owner));
        bytes32 hash =
            keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, keccak256(code)));
        return address(uint160(uint256(hash)));
    }
}
