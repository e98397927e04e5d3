// SPDX-License-Identifier: MIT OR Apache-2.0
// Random acts with money and offices: deposits, withdrawals, credit, delegates, pauses.
pragma solidity 0.8.37;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {Model} from "./Model.sol";

abstract contract MoneyActs is Model {
    uint256 private constant PAUSE_REST = 30 days;

    function deposit(uint256 seed, uint256 any) external {
        seed = _mix(seed);
        address owner = _person(seed);
        uint96 amount = uint96(any % 200 ether);
        if (seed >> 250 != 0) rndr.mint(owner, amount);
        bool expected = amount != 0 && _runs() && rndr.balanceOf(owner) >= amount;
        bytes memory data = abi.encodeCall(escrow.deposit, (amount));
        _enterWithToken("deposit", address(escrow), data, _by(owner), expected, true);
    }

    function depositFor(uint256 seed, uint256 any) external {
        seed = _mix(seed);
        address owner = _person(seed >> 8);
        address[3] memory beyond = [address(0), address(escrow), DEAD];
        address to = seed % 8 == 0 ? beyond[(seed >> 3) % 3] : _person(seed >> 16);
        uint96 amount = uint96(1 + any % 10 ether);
        rndr.mint(owner, amount);
        bool expected = _runs() && _isAccount(to);
        bytes memory data = abi.encodeCall(escrow.depositFor, (to, amount));
        _enterWithToken("depositFor", address(escrow), data, _by(owner), expected, true);
    }

    /// The legacy token's own way in; a stranger that calls the hook itself is refused.
    function holdInEscrow(uint256 seed, uint256 any) external {
        seed = _mix(seed);
        address owner = _person(seed);
        uint96 amount = uint96(1 + any % 10 ether);
        string memory text = Strings.toHexString(_person(seed >> 8));
        if (seed % 8 == 0) text = "job 7";
        bytes memory data = abi.encodeCall(escrow.fundJob, (text, amount));
        _enter("fundJob by a stranger", data, _by(owner), false);
        rndr.mint(owner, amount);
        data = abi.encodeCall(rndr.holdInEscrow, (text, amount));
        // The token calls; in `signer` stands whose tokens it moves.
        Consent memory given = _by(address(rndr));
        given.signer = owner;
        _enterWithToken("fundJob", address(rndr), data, given, _runs() && seed % 8 != 0, true);
    }

    function withdraw(uint256 seed, uint256 any) external {
        seed = _mix(seed);
        address owner = _person(seed);
        uint256 free = freeOf[owner];
        // One in eight asks for more than there is, or for credit.
        uint96 amount =
            uint96(free == 0 || seed >> 253 == 0 ? free + 1 + creditOf[owner] : 1 + any % free);
        address to = (seed >> 8) % 2 == 0 ? owner : _person(seed >> 16);
        if ((seed >> 32) % 32 == 0) to = (seed >> 40) % 2 == 0 ? address(0) : address(escrow);
        Consent memory given = _by(owner);
        given.signer = to;
        bool expected = amount <= free && _isAccount(to);
        bytes memory data = abi.encodeCall(escrow.withdraw, (amount, to));
        _exitWithToken("withdraw", data, given, expected, true);
    }

    function burn(uint256 seed) external {
        Consent memory given = _by(_person(_mix(seed)));
        given.signer = DEAD;
        bytes memory data = abi.encodeCall(escrow.burn, ());
        _exitWithToken("burn", data, given, freeOf[DEAD] != 0, true);
    }

    function donate(uint256 any) external {
        donated += any % 1 ether;
        rndr.mint(address(escrow), any % 1 ether);
    }

    // ---- offices ----

    function issueCredit(uint256 seed, uint256 any) external {
        seed = _mix(seed);
        address by = seed % 4 == 0 ? _person(seed >> 8) : issuer;
        address to = seed >> 252 == 0 ? address(escrow) : cast[(seed >> 16) % 3];
        uint96 amount = uint96(any % 50 ether);
        rndr.mint(by, amount);
        bool expected = by == issuer && amount != 0 && _runs() && _isAccount(to);
        bytes memory data = abi.encodeCall(escrow.issueCredit, (to, amount));
        _enterWithToken("issueCredit", address(escrow), data, _by(by), expected, true);
    }

    function nameSettler(uint256 seed) external {
        seed = _mix(seed);
        address by = seed % 4 == 0 ? _person(seed >> 8) : issuer;
        address[4] memory named = [settler, otherSettler, settler, address(0)];
        address who = named[(seed >> 16) % 4];
        bytes memory data = abi.encodeCall(escrow.nameSettler, (who));
        _enter("nameSettler", data, _by(by), by == issuer);
    }

    /// As often as it may, and more often; `seed` decides by how much it asks for too much.
    function pause(uint256 seed) external {
        seed = _mix(seed);
        address by = seed % 4 == 0 ? _person(seed >> 8) : guardian;
        uint256 until = block.timestamp + (seed >> 16) % 7 days + 1;
        if ((seed >> 64) % 4 == 0) until = block.timestamp + 7 days + (seed >> 72) % 2;
        if ((seed >> 64) % 4 == 1) until = block.timestamp - (seed >> 72) % 2;
        bool rested = pausedUntil == 0 || block.timestamp >= pausedUntil + PAUSE_REST;
        bool within = until > block.timestamp && until <= block.timestamp + 7 days;
        bytes memory data = abi.encodeCall(escrow.pause, (uint40(until)));
        _enter("pause", data, _by(by), by == guardian && rested && within);
    }

    function unpause(uint256 seed) external {
        seed = _mix(seed);
        address by = seed % 4 == 0 ? _person(seed >> 8) : guardian;
        bytes memory data = abi.encodeCall(escrow.unpause, ());
        _enter("unpause", data, _by(by), by == guardian && block.timestamp < pausedUntil);
    }

    // ---- delegates and wallets ----

    function setDelegate(uint256 seed, uint256 any) external {
        seed = _mix(seed);
        address by = cast[seed % 3];
        address who = (seed >> 8) % 4 == 0 ? _person(seed >> 16) : agent;
        address named = (seed >> 24) % 3 == 0 ? otherSettler : settler;
        if ((seed >> 32) % 16 == 0) who = address(0);
        if ((seed >> 32) % 16 == 1) named = address(escrow);
        uint40 expiry = uint40(block.timestamp + (seed >> 40) % 2 days);
        bool expected = _isAccount(who) && _isAccount(named) && expiry > block.timestamp;
        uint96 allowance = uint96(any % 150 ether);
        uint96 maxPerJob = uint96((any >> 96) % 80 ether);
        bytes memory data =
            abi.encodeCall(escrow.setDelegate, (who, named, allowance, maxPerJob, expiry));
        _exit("setDelegate", data, _by(by), expected);
    }

    function revokeDelegate(uint256 seed) external {
        seed = _mix(seed);
        // Rarely, or no delegate would live long.
        address by = seed % 3 == 0 ? cast[(seed >> 8) % 3] : _person(seed >> 8);
        address who = (seed >> 16) % 4 == 0 ? _person(seed >> 24) : agent;
        bytes memory data = abi.encodeCall(escrow.revokeDelegate, (who));
        _exit("revokeDelegate", data, _by(by), grants[by][who].expiry != 0);
    }

    /// The wallet's owner takes its words back, or gives them again.
    function changeMind(uint256 seed) external {
        bool away = _mix(seed) % 3 == 0;
        wallet.setOwner(vm.addr(away ? STRANGER_KEY : WALLET_KEY));
        if (away) ++done["wallet changed its mind"];
    }

    function _by(address caller) internal pure returns (Consent memory given) {
        given.caller = caller;
    }
}
