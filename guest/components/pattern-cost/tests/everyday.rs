//! Everyday sentences, full of numbers and signs, in which the cost finds nothing.

mod support;

use support::{finds, finds_in_chunks};

const SENTENCES: &[&str] = &[
    // Recipes and measurements.
    "Mix 250 g of flour, 125 ml of milk, 2 eggs and a pinch of salt.",
    "Bake at 180 °C (350 °F) for 25-30 minutes, then let it rest for 10.",
    "Use 0.5 l of water, 0.25 l of wine and 0.75 l of stock.",
    "The shelf is 80 x 200 x 35 cm and holds up to 45.5 kg.",
    "Add 1/2 cup of sugar, 3/4 cup of butter and 1 1/2 cups of oats.",
    "Her temperature was 38.5 at 07:30, 39.1 at 12:00 and 37.9 at 18:15.",
    "The board measures 1200 x 2400 x 18 mm, plus or minus 0.5 mm.",
    "Tyre size 205/55 R16 91V, pressure 2.3 bar in front, 2.1 bar behind.",
    "The lens is a 24-70 mm f/2.8, the other one a 100-400 mm f/4.5-5.6.",
    "Set the resistor to 4700 ohm, 0.25 W, and the capacitor to 100 nF.",
    "Screws: M4 x 20, M5 x 30, M6 x 40, M8 x 50; all A2-70.",
    "A marathon is 42.195 km long, a half marathon 21.0975 km.",
    "The sample weighed 0.0253 g, 0.0257 g and 0.0249 g.",
    // Dates and times.
    "The meeting is on 2024-03-15 from 09:00 to 10:30 in room 301.",
    "Open Mo-Fr 08.00-12.00 and 13.00-17.00, Sa 09.00-13.00.",
    "Between 12/05/2019 and 03/06/2019 the museum is closed.",
    "From 01.01.2023 to 31.12.2024 the old rules hold.",
    "He ruled from 1710 to 1774; his son from 1774 to 1792.",
    "The years 2019, 2020, 2021 and 2022 were the warmest.",
    "See you on 05/06/07 or 08/09/10, whichever suits you.",
    "The log starts at 2023-11-05T13:45:07Z and ends at 2023-11-05T14:02:59Z.",
    "Trains leave at 06:12, 06:42, 07:12, 07:42 and 08:12.",
    "The flight takes off 0830 local and lands 1145 local.",
    "In 1984-1985 and 1988-1989 the river froze over.",
    "On 24/7/2021 it rained for 36 hours, on 25/7/2021 for 12.",
    // Scores and counts.
    "They won 3-1, 2-0, 4-2 and lost 0-5.",
    "The final was 6-4, 3-6, 7-6 (7-5), 6-3.",
    "Half of the 300 400 5000 seats sold out in 2023 2024.",
    "Turnout was 56.7 %, up from 54.2 % in 2016 and 49.8 % in 2012.",
    "Ready? 10 9 8 7 6 5 4 3 2 1 0!",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
    "The first primes are 2 3 5 7 11 13 17 19 23 29 31 37 41 43.",
    "Powers of two: 1 2 4 8 16 32 64 128 256 512 1024 2048 4096 8192.",
    "0 1 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987 1597",
    "In binary, 5 is 00000101 and 85 is 01010101.",
    "The matrix is [[1, 0, 0], [0, 1, 0], [0, 0, 1]].",
    "Pi is about 3.14159265358979323846264338327950288.",
    "e = 2.718281828459045 and the golden ratio is 1.618033988749895.",
    "Population: 8 336 817 in 2019, 8 804 190 in 2020.",
    "The company has 120 000 employees in 75 countries.",
    "There are 60 * 60 * 24 = 86400 seconds in a day.",
    "12345679 x 9 = 111111111 and 37 x 27 = 999.",
    "10000000 + 20000000 = 30000000",
    // Prices.
    "It costs $1,299.99, or $54.17 a month for 24 months.",
    "Prices: 4.50, 5.00, 5.50, 6.00 and 6.50 euros.",
    "The house sold for 1.250.000,00 EUR in 2018.",
    "Revenue grew from 4500 to 4800 and then to 5100 million.",
    "Shares went from 17.05 to 19.40 (+13.8 %) within 3 days.",
    "The fee is 0.35 % up to 10 000 euros and 0.25 % above.",
    // Versions, code and machines.
    "Upgrade from 1.2.3 to 2.0.0-rc.1 before 2024.06.01.",
    "Python 3.12.4, Rust 1.95.0, Node 20.11.1 and glibc 2.39.",
    "The server answers at 192.168.0.1:8080 and at 10.0.0.255.",
    "C++ 20231231 is not a standard, but C++20 and C++23 are.",
    "RFC 2822, RFC 5322 and ISO 13616-1:2020 say more.",
    "Use WD40 to free the rusty lock of the shed.",
    "The AK47 hangs in the museum next to the MG42 and the M16.",
    "My HP15 and your LG27 need new cables, the DE15 kind.",
    "Error 0x80070057 at line 1024, column 17.",
    "git checkout 3f2a91c && git merge v2.4.0",
    "The colours are #FF8800, #00AA55 and rgb(12, 200, 255).",
    "let total = a[0] + b[1] * 2 - c[3] / 4;",
    "for i in 0..10 { sum += i * i; } // 285",
    "Set chmod 0755 on the folder and 0644 on the files.",
    "The UUID is 550e8400-e29b-41d4-a716-446655440000.",
    "MAC address 00:1A:2B:3C:4D:5E, port 443, VLAN 20.",
    "Install sk-learn-tutorial-part-2 with pip, then open chapter-3.",
    "Import it with @import, mention @anna, mail the list @ work.",
    // Places, books and other numbers.
    "Boston, MA 02139-4307, is across the river from 02108.",
    "Berlin lies at 52.5200 N, 13.4050 E, 34 m above the sea.",
    "GPS: 40.7128, -74.0060 and 51.5074, -0.1278.",
    "ISBN 978-3-16-148410-0 and ISBN 0-306-40615-2 are examples.",
    "Take bus 100 or 200 to stop 3000, then walk 50 m.",
    "Chapter 3, verses 16-18; psalm 119, verses 1-176.",
    "Flight LH 0400 from FRA to JFK, gate B42, seat 17A.",
    "IMEI 356938035643809 and serial number 1234 5678 9012 3456.",
    "Numbers drawn: 3, 12, 25, 33, 41 and 49; bonus 7.",
    "The barcode reads 4006381333931.",
    "Figure 5.12 shows 3 curves; table 4.1 lists 24 of them.",
    "Room 404, building 12, floor 4, desk 17.",
    "He scored 100 in 45 minutes at the age of 15 years and 355 days.",
    "Vitamin D: 2000 IU in winter, 1000 IU in summer.",
    "Blood pressure 120/80, pulse 72, oxygen 98 %.",
    "Sudoku row: 5 3 4 6 7 8 9 1 2, next: 6 7 2 1 9 5 3 4 8.",
    "\u{4eca}\u{5929}\u{662f}2024\u{5e74}3\u{6708}15\u{65e5}\u{ff0c}\u{6c14}\u{6e29}15\u{5230}20\u{5ea6}\u{3002}",
    "\u{7b2c}1\u{7ae0}\u{6709}30\u{9875}\u{ff0c}\u{7b2c}2\u{7ae0}\u{6709}45\u{9875}\u{3002}",
    "Le 24 d\u{e9}cembre, il y avait 1 200 personnes, 3 000 le lendemain.",
    "Am 3. Oktober 1990 um 0 Uhr; 16 L\u{e4}nder, 83,2 Mio. Menschen.",
];

#[test]
fn everyday_sentences_cost_nothing() {
    let wrong: Vec<_> = SENTENCES.iter().filter(|text| !finds(text).is_empty()).map(|t| (t, finds(t))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let all = SENTENCES.join(" ");
    assert!(finds(&all).is_empty(), "{:?} was found in all of them together", finds(&all));
}

#[test]
fn everyday_sentences_cost_nothing_in_chunks_either() {
    for text in SENTENCES {
        let chars = text.chars().count();
        let wrong: Vec<_> = (0..chars).filter(|cut| !finds_in_chunks(text, &[*cut]).is_empty()).collect();
        assert!(wrong.is_empty(), "cut at {wrong:?}: {text}");
    }
}
