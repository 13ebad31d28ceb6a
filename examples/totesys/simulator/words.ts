/**
 * The invented company: its addresses, partners, people, departments and words for designs. The traps
 * are on purpose: apostrophes, commas, parentheses, leading zeros, all-digit postal codes, a misspelt
 * city, several partners at one address, nobody in Sales.
 */

/** Line 1, line 2, district, city, postal code, country, phone. */
export const ADDRESSES: readonly (readonly [
  string,
  string | null,
  string | null,
  string,
  string,
  string,
  string,
])[] = [
  ['6094 Larch Heights', null, 'Avonshire', 'Fort Millbrook', '28441', 'Turkey', '1803 637401'],
  [
    '0336 Rosewood Rue',
    'Apt. 824',
    null,
    'East Tamsin',
    '08841',
    'Falkland Islands (Malvinas)',
    '0730 783349',
  ],
  ['148 Copper Trace', null, 'Cambrook', 'Port Ellison', '89460', 'Belarus', '0081 009772'],
  [
    '2102 Hazel Road',
    'Suite 409',
    'Bedford Vale',
    'Lake Corin',
    '37815-6409',
    "Democratic People's Republic of Korea",
    '2398 182530',
  ],
  ['0579 Durling Common', null, null, 'Suffolk Bay', '56693-0660', 'United Kingdom', '8935 157571'],
  ['644 Edwards Garden', null, 'Borders', 'New Torrance', '01542', 'Saint Helena', '0173 480662'],
  ['49967 Cormac Tunnel', 'Floor 2', 'Berkley', 'Easton', '60617', 'Slovenia', '4447 023900'],
  ['22073 Maple Manors', null, null, 'Nolan Grove', 'SW1A 2AA', 'United Kingdom', '0207 946018'],
  ['0102 Linden Brooks', 'Unit 7', 'Avonshire', 'Leds', 'LS1 4DY', 'United Kingdom', '0113 496020'],
  [
    '7212 Wren Junction',
    null,
    null,
    'South Hadley',
    '00714',
    'Holy See (Vatican City State)',
    '9984 210453',
  ],
  [
    '84 Thistle Path',
    'Apt. 016',
    'Cambrook',
    'Manchester',
    'M1 1AE',
    'United Kingdom',
    '0161 496031',
  ],
  ['511 Orchard Spurs', null, 'Dunmore', 'West Briar', '99305-7380', 'Cook Islands', '3772 554811'],
  [
    '0961 Quarry Crossing',
    null,
    null,
    'Kingsford',
    '46111',
    'Libyan Arab Jamahiriya',
    '0541 923466',
  ],
  ['3875 Juniper Lights', 'Suite 112', 'Borders', 'Old Fenwick', '02738', 'Iceland', '7128 390025'],
  ['17 Sable Square', null, 'Bedford Vale', 'Ashcombe', '70254-1102', 'Jersey', '0905 311978'],
  ['60241 Harrow Fort', null, null, 'Glenmoor', '15512', 'Cocos (Keeling) Islands', '6320 074491'],
  ['0048 Aspen Wells', 'Floor 11', 'Dunmore', 'Newton Rill', '00501', 'Peru', '0049 118327'],
  ['929 Bramble Walk', null, 'Berkley', 'Upper Stowe', '84430-5526', 'Bolivia', '2270 665108'],
  ['5530 Garnet Summit', null, null, 'Brackwater', '33067', 'Macao', '8811 470236'],
  [
    '07 Peverell Lane',
    'Apt. 3',
    'Avonshire',
    'Sheffield',
    'S1 2HE',
    'United Kingdom',
    '0114 960742',
  ],
  ['31290 Marlow Isle', null, 'Cambrook', 'Port Ridley', '68022', 'Austria', '5503 219847'],
  [
    '764 Saffron Ridge',
    'Unit 20',
    null,
    'Eastmere',
    '04961',
    'Virgin Islands (British)',
    '0338 702915',
  ],
  ['0415 Tallow Mews', null, 'Borders', 'Harlow Point', '51200-0084', 'Senegal', '1946 830577'],
  ['8806 Finch Springs', null, null, 'Cedar Holm', '77418', 'Guyana', '7615 092384'],
  ['253 Cobble Estate', 'Suite 031', 'Dunmore', 'Lowick', '09233', 'Mexico', '0662 514790'],
  [
    '40117 Ember Falls',
    null,
    'Bedford Vale',
    'Northgate',
    '26589-3317',
    'Papua New Guinea',
    '4038 761205',
  ],
  ['0620 Willow Station', 'Floor 4', null, 'Rothwell', '41877', 'Micronesia', '0780 143692'],
  ['1358 Dorset Keys', null, 'Berkley', 'Lakeside', '00983', 'Netherlands Antilles', '9427 386150'],
  ['972 Flint Hollow', null, null, 'Saint Orrin', '63540', 'Bahrain', '3159 028746'],
  [
    '0088 Meadow Ports',
    'Apt. 555',
    'Avonshire',
    'Harwick',
    '12093-4471',
    'Timor-Leste',
    '0250 697813',
  ],
]

/** Legal name, number of the legal address, commercial contact, delivery contact. */
export const COUNTERPARTIES: readonly (readonly [string, number, string, string])[] = [
  ['Ashdown and Sons', 15, 'Michaela Toy', 'Mrs. Lucy Runolf'],
  ['Leander, Predow and Moss', 28, 'Melba Sanford', 'Jeanine Hess III'],
  ['Armitage Inc', 2, 'Jay Parker', 'Myra Kovac'],
  ['Kohler Inc', 29, 'Taylor Haag', 'Alfredo Casson II'],
  ['Frame, Yates and Kreider', 22, 'Homer Mitten', 'Ivan Barlow'],
  ['Mraz LLC', 23, 'Florence Casper', 'Eva Upton'],
  ['Padberg, Lueck and Jonson', 16, 'Jessie Fadel', 'Arlene Hahn'],
  ['Grant, Lakin and Ward', 16, 'Bertha Wolff', "Siobhan O'Hara"],
  ['Price LLC', 2, 'Sheryl Langworth', 'Simon Schoen'],
  ['Bosco, Grant and Abbott', 4, 'Frederick Reilly', 'Willard Green'],
  ['Hoppe, Kerk and Altwine', 8, 'Penny Nolan', 'Cedric Lowe'],
  ['Thornfield Group', 11, 'Maggie Wolf Jr.', 'Delbert Ernst'],
  ['Zulauf Partners (Holdings)', 26, 'Ramon Dietrich', 'Wilma Marks'],
  ['Smythe, Bauch and Rolfson', 2, 'Clyde Hintz', 'Ora Cormier'],
  ['Norwick Ltd', 9, 'Tamara Beatty', 'Ira Stokes'],
  ['Heaney, Collier and Vane', 17, 'Gus Larkin', 'Nettie Rowe'],
  ['Castell Plc', 6, 'Harvey Blick', 'Audrey Kemp'],
  ['Crist, Ferry and Sipe', 20, 'Bridget Towne', 'Owen Dare'],
  ['Marlowe Textiles', 28, 'Noel Fisher', 'Sonya Tromp'],
  ['Quigg, Rempel and Stone', 13, 'Vivian Orme', 'Lionel Batz'],
]

/** Name, location, manager. */
export const DEPARTMENTS: readonly (readonly [string, string, string])[] = [
  ['Sales', 'Manchester', 'Richard Roma'],
  ['Purchasing', 'Manchester', 'Naomi Lapaglia'],
  ['Production', 'Leeds', 'Chester Ming'],
  ['Dispatch', 'Leds', 'Mark Hannay'],
  ['Finance', 'Manchester', 'Jordan Belmont'],
  ['Facilities', 'Manchester', 'Shelley Levine'],
  ['Communications', 'Leeds', 'Ann Blakely'],
  ['HR', 'Leeds', 'James Lincoln'],
]

/** Where a department can move to. */
export const LOCATIONS: readonly string[] = [
  'Manchester',
  'Leeds',
  'Leds',
  'Sheffield',
  'York',
  'Hull',
]

/** First name, last name, number of the department (never 1, Sales). */
export const STAFF: readonly (readonly [string, string, number])[] = [
  ['Jeremy', 'Ferris', 2],
  ['Della', 'Beyer', 6],
  ['Janet', 'Ebert', 3],
  ['Anna', 'Glover', 3],
  ['Maeve', "O'Keefe", 3],
  ['Magda', 'Zolinski', 8],
  ['Jerome', 'Farrow', 8],
  ['Oswald', 'Beale', 7],
  ['Lisa', 'Wyeth', 7],
  ['Jazmin', 'Kuhn', 2],
  ['Meg', 'Cummings', 3],
  ['Pierce', 'Sawyer', 2],
  ['Flavia', 'Kulas', 3],
  ['Caleb', 'Weston', 4],
  ['Hana', 'Stroud', 4],
  ['Imogen', 'Tully', 5],
  ['Rafael', 'Ocampo', 5],
  ['Tobias', 'Lind', 6],
  ['Yusuf', 'Karim', 7],
  ['Greta', 'Nyberg', 8],
]

export const CURRENCIES: readonly string[] = ['GBP', 'USD', 'EUR']

export const PAYMENT_TYPES = [
  'SALES_RECEIPT',
  'SALES_REFUND',
  'PURCHASE_PAYMENT',
  'PURCHASE_REFUND',
] as const

export const DESIGN_NAMES: readonly string[] = [
  'Wooden',
  'Granite',
  'Bronze',
  'Cotton',
  'Steel',
  'Rubber',
  'Soft',
  'Fresh',
  'Frozen',
  'Plastic',
  'Rustic',
  'Metal',
  'Concrete',
  'Elegant',
  'Recycled',
  'Luxurious',
  'Modern',
  'Oriental',
  'Electronic',
  'Bespoke',
]

export const FILE_LOCATIONS: readonly string[] = [
  '/usr',
  '/usr/share',
  '/usr/ports',
  '/usr/local/src',
  '/private',
  '/private/var',
  '/private/tmp',
  '/lib',
  '/Library',
  '/home/user dir',
  '/home/user',
  '/etc/periodic',
  '/etc/defaults',
  '/var/log',
  '/var/spool',
  '/opt/share',
  '/boot/defaults',
  '/sys',
  '/root',
  '/Applications',
]

/** Streets for an address that changes. */
export const STREETS: readonly string[] = [
  'Larkspur Row',
  'Foundry Yard',
  'Bishop Causeway',
  'Saltmarsh Drive',
  'Vicarage Close',
  "St. Aidan's Way",
]
