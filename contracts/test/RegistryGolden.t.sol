// SPDX-License-Identifier: MIT OR Apache-2.0
// Registrations and pairs of receipts of golden.json, which Rust must produce too.
pragma solidity 0.8.37;

import {INodeRegistry} from "../src/INodeRegistry.sol";
import {NodeRegistry, REGISTRATION} from "../src/NodeRegistry.sol";
import {Receipt} from "../src/Order.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract RegistryGoldenTest is RegistryFixture {
    string private json;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("test/golden.json");
    }

    function test_EveryVectorIsMetHere() public {
        vm.assertEq(REGISTRATION, _word(".typeHashes.registration"), "type of a registration");
        uint256 i = 0;
        while (vm.keyExistsJson(json, _at(".registry", i))) {
            _moveTo(_at(".registry", i));
            _checkRegistration(_at(".registry", i));
            _checkSlash(_at(".registry", i++));
        }
        vm.assertEq(i, 2, "vectors in golden.json");
    }

    /// Chain, escrow and registry of the vector.
    function _moveTo(string memory path) private {
        string memory job = _at(".jobs", vm.parseJsonUint(json, string.concat(path, ".job")));
        vm.chainId(vm.parseJsonUint(json, string.concat(job, ".chainId")));
        address there = vm.parseJsonAddress(json, string.concat(job, ".verifyingContract"));
        vm.etch(there, address(escrow).code);
        escrow = RenderEscrow(there);
        address made = address(new NodeRegistry(there));
        there = vm.parseJsonAddress(json, string.concat(path, ".registry"));
        vm.etch(there, made.code);
        registry = NodeRegistry(there);
    }

    function _checkRegistration(string memory path) private {
        string memory act = string.concat(path, ".registration");
        owner = vm.parseJsonAddress(json, string.concat(act, ".owner"));
        signer = vm.parseJsonAddress(json, string.concat(act, ".signer"));
        address payout = vm.parseJsonAddress(json, string.concat(act, ".payout"));
        bytes32 can = _word(string.concat(act, ".capabilitiesHash"));
        uint256 key = uint256(_word(string.concat(path, ".key")));
        vm.assertEq(vm.addr(key), signer, "signer");
        bytes32 domain = keccak256(
            abi.encode(
                DOMAIN, keccak256("NodeRegistry"), keccak256("1"), block.chainid, address(registry)
            )
        );
        vm.assertEq(domain, _word(string.concat(path, ".domainSeparator")), "domain");
        bytes32 structHash = keccak256(abi.encode(REGISTRATION, owner, signer, payout, can));
        vm.assertEq(structHash, _word(string.concat(path, ".structHash")), "struct hash");
        bytes32 digest = _registration(owner, signer, payout, can);
        vm.assertEq(digest, _word(string.concat(path, ".digest")), "digest");
        bytes memory word = _bytes(string.concat(path, ".signature"));
        vm.assertEq(keccak256(_sign(key, digest)), keccak256(word), "signature");
        // The contract hashes for itself: it takes no other word than this.
        vm.prank(owner);
        registry.register(signer, payout, can, word);
        vm.assertEq(_state(signer).payout, payout, "payout");
    }

    function _checkSlash(string memory path) private {
        uint256 key = uint256(_word(string.concat(path, ".key")));
        (Receipt memory first, bytes memory firstWord) = _checkReceipt(path, 0, key);
        (Receipt memory second, bytes memory secondWord) = _checkReceipt(path, 1, key);
        _tells();
        emit INodeRegistry.Slashed(
            signer, address(this), first.jobId, first, firstWord, second, secondWord, 0, 0, 2
        );
        registry.slash(first, firstWord, second, secondWord);
        vm.assertTrue(_state(signer).slashed, "slashed");
    }

    function _checkReceipt(string memory path, uint256 n, uint256 key)
        private
        view
        returns (Receipt memory receipt, bytes memory word)
    {
        string memory row = _at(string.concat(path, ".receipts"), n);
        receipt = _readReceipt(path, string.concat(row, ".receipt"));
        bytes32 digest = _digest(this.hashReceipt(receipt));
        vm.assertEq(digest, _word(string.concat(row, ".digest")), "digest of a receipt");
        word = _bytes(string.concat(row, ".signature"));
        vm.assertEq(keccak256(_sign(key, digest)), keccak256(word), "signature of a receipt");
    }

    function _readReceipt(string memory path, string memory row)
        private
        view
        returns (Receipt memory)
    {
        string memory job = _at(".jobs", vm.parseJsonUint(json, string.concat(path, ".job")));
        return Receipt({
            jobId: _word(string.concat(job, ".jobId")),
            unit: uint32(_uint(row, ".unit")),
            attempt: uint32(_uint(row, ".attempt")),
            outputHash: _word(string.concat(row, ".outputHash")),
            previewHash: _word(string.concat(row, ".previewHash")),
            keyCommit: _word(string.concat(row, ".keyCommit")),
            startedAt: uint40(_uint(row, ".startedAt")),
            finishedAt: uint40(_uint(row, ".finishedAt"))
        });
    }

    function _at(string memory path, uint256 i) private pure returns (string memory) {
        return string.concat(path, "[", vm.toString(i), "]");
    }

    function _word(string memory path) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, path);
    }

    function _uint(string memory row, string memory key) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(row, key));
    }

    function _bytes(string memory path) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, path);
    }
}
